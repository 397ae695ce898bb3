"""The base of all errors that explain themselves; a command shows them without a traceback."""


class CgcoreError(Exception):
    """An error with what was wanted, what was found and the likely slip."""
