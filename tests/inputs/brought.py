"""Files for the tests of inputs: where those of alanine lie, and how one is made."""

from pathlib import Path

ALA2 = Path(__file__).parents[2] / "notebooks" / "data" / "ala2"


def write(folder, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
