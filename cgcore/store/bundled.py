"""Reference data that comes with the project, checked before use."""

import hashlib
import re
from pathlib import Path

from cgcore.store.files import StoreError, parsed

PACKAGE = Path(__file__).parents[1]
SUMS = "SHA256SUMS"
LINE = re.compile(r"(?P<sum>[0-9a-fA-F]{64}) [ *](?P<name>.+)")


def data_roots() -> tuple[Path, ...]:
    """Where bundled data may lie: inside an installed package, or in a checkout."""
    return PACKAGE / "data", PACKAGE.parent / "notebooks" / "data"


def data_file(name: str) -> Path:
    """Path of a bundled data file such as "ala2/solute.gro", its SHA-256 checked against SHA256SUMS beside it.

    Raises FileNotFoundError with what there is, and StoreError for a file whose checksum is wrong or not listed.
    """
    for root in data_roots():
        path = root / name
        if path.is_file():
            check(path)
            return path
    there = sorted(
        str(p.relative_to(root)) for root in data_roots() for p in root.rglob("*") if p.is_file() and p.name != SUMS
    )
    raise FileNotFoundError(f"no bundled data file {name!r}; there is: {', '.join(there) or 'none at all'}")


def profile_roots() -> tuple[Path, ...]:
    """Where profiles may lie: inside an installed package, or in a checkout."""
    return PACKAGE / "system_profiles", PACKAGE.parent / "notebooks" / "profiles"


def profile_file(system: str) -> Path:
    """Path of the profile of a system, <system>.toml. Raises FileNotFoundError with the systems that there are."""
    for root in profile_roots():
        if (path := root / f"{system}.toml").is_file():
            return path
    known = sorted(path.stem for root in profile_roots() for path in root.glob("*.toml"))
    raise FileNotFoundError(f"no profile of a system {system!r}; there are {known}")


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path) -> None:
    """Raise StoreError unless the file has the checksum that SHA256SUMS of its folder gives (format of sha256sum)."""
    sums = path.with_name(SUMS)
    if not sums.is_file():
        raise StoreError(f"{path}: no {SUMS} beside it, so it cannot be checked")
    lines = [line for line in parsed(sums, "text", str.splitlines) if line.strip()]
    listed = {match["name"]: match["sum"].lower() for line in lines if (match := LINE.fullmatch(line))}
    if len(listed) < len(lines):
        raise StoreError(f"{sums}: want lines of a SHA-256 and a name, as sha256sum writes them; damaged or edited")
    if path.name not in listed:
        raise StoreError(f"{path} is not listed in {sums}; listed are {sorted(listed)}")
    if (found := checksum(path)) != listed[path.name]:
        with open(path, "rb") as file:
            pointer = file.read(64).startswith(b"version https://git-lfs")
        slip = "it is a git-lfs pointer: run `git lfs pull`" if pointer else "likely a partial download or an edit"
        raise StoreError(
            f"{path}: want SHA-256 {listed[path.name][:12]}…, got {found[:12]}… ({path.stat().st_size} bytes); {slip}"
        )
