"""What can stop a reference simulation."""

from cgcore.errors import CgcoreError


class ReferenceRunError(CgcoreError, RuntimeError):
    """A simulation that cannot start or go on, with what was wanted, what was found and the likely slip."""
