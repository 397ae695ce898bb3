"""What can stop a reference simulation."""

import shutil
from pathlib import Path

from cgcore.errors import CgcoreError


class ReferenceRunError(CgcoreError, RuntimeError):
    """A simulation that cannot start or go on, with what was wanted, what was found and the likely slip."""


def check_disk(folder: Path, wanted: float):
    """Raise ReferenceRunError unless the disk of a folder has room for `wanted` more bytes, with 5 % to spare."""
    free = shutil.disk_usage(folder).free
    if wanted > 0.95 * free:
        raise ReferenceRunError(
            f"{folder}: this run will write {wanted / 1e9:.2f} GB, the disk has {free / 1e9:.2f} GB left; want fewer "
            "frames (--every-ps), a shorter run or another disk"
        )
