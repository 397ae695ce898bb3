"""What can be wrong with what the doctor is given."""


class DoctorError(ValueError):
    """Input that no verdict can rest on, with what was wanted, what was found and the likely slip."""
