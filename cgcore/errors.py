"""The base of all errors that explain themselves, words for what the machine refuses, and the one reader of text."""

import codecs
import errno
from pathlib import Path

AGAIN = "start again and what was finished is kept"
MEMORY = f"want more memory, or fewer replicas, frames or jobs at once; {AGAIN}"
HELP = {
    errno.ENOSPC: f"free some of the disk, or choose another --out; {AGAIN}",
    errno.EDQUOT: f"your share of the disk is used up: free some of it, or choose another --out; {AGAIN}",
    errno.EFBIG: f"want larger files to be allowed (ulimit -f, or another file system); {AGAIN}",
    errno.EROFS: "want a place that can be written to; choose another --out",
    errno.EACCES: "want a file that you may read, and a folder that you may write to; choose another --out",
    errno.EPERM: "want a file that you may read, and a folder that you may write to; choose another --out",
    errno.EMFILE: f"want more open files to be allowed (ulimit -n), or fewer jobs at once; {AGAIN}",
    errno.ENFILE: f"close some programs, or want fewer jobs at once; {AGAIN}",
    errno.EAGAIN: f"want more processes to be allowed (ulimit -u), or fewer jobs at once; {AGAIN}",
    errno.ENOMEM: MEMORY,
    errno.ENOTDIR: "a file lies where a folder is wanted; choose another name",
    errno.EISDIR: "want a file, this is a folder",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ENOLCK: "this file system has no locks; choose a local disk as --out",
    errno.EIO: f"the disk or the network behind it fails; look into the system's log. {AGAIN.capitalize()}",
}


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


def explained(error: BaseException) -> str | None:
    """What to say of an error in place of a traceback; None for one that only a traceback explains."""
    if isinstance(error, CgcoreError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; {AGAIN}"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):  # the latter is XLA's
        return f"out of memory{f' ({error})' if str(error) else ''}; {MEMORY}"
    if type(error).__name__ == "BrokenProcessPool":  # by name, since its module is slow to load
        return f"a worker was killed without a word; likely out of memory: {MEMORY}"
    number = errno.EAGAIN if "can't start new thread" in str(error) else getattr(error, "errno", None)
    if not isinstance(error, OSError) and number not in HELP:  # ZeroMQ's errors have the numbers, too
        return None
    where = f"{error.filename}: " if getattr(error, "filename", None) is not None else ""
    words = f"{where}{getattr(error, 'strerror', None) or error}"
    return f"{words}; {HELP[number]}" if number in HELP else words
