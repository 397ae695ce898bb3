"""What can be wrong with what the doctor is given."""

from cgcore.errors import CgcoreError


class DoctorError(CgcoreError, ValueError):
    """Input that no verdict can rest on, with what was wanted, what was found and the likely slip."""
