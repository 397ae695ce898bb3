"""MACE as machine code for the CPU: trained weights packed for inference, and loops that Numba compiles."""

from .pack import Packed, PackError, for_simulation, pack
from .weights import Weights

__all__ = ["PackError", "Packed", "Weights", "for_simulation", "pack"]
