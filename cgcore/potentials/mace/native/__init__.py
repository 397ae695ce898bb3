"""MACE as machine code for the CPU: trained weights packed for inference, and loops that Numba compiles."""

from .pack import Packed, PackError, for_simulation, pack

__all__ = ["PackError", "Packed", "for_simulation", "pack"]
