"""The base of all errors that explain themselves, shown by a command without a traceback; and the one reader of text."""

import codecs
from pathlib import Path


class CgcoreError(Exception):
    """An error with what was wanted, what was found and the likely slip."""


class TextError(CgcoreError, ValueError):
    """A file that is no text in UTF-8."""


def read_text(path) -> str:
    """Read a text file in UTF-8, or in whatever Unicode its byte order mark says, whatever the locale.

    Raises TextError with the line for any other encoding: a guess would turn one name into another.
    """
    data = path.read_bytes() if hasattr(path, "read_bytes") else Path(path).read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TextError(
            f"{path}, line {line}: want text in UTF-8, found the byte 0x{data[error.start]:02x}; was it saved as Latin-1 or "
            "by another program's default? Save it as UTF-8"
        ) from error
