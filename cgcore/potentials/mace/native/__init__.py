"""MACE as machine code for the CPU: trained weights packed for inference, and loops that Numba compiles."""

from .pack import Packed, PackError, pack
from .weights import Weights

__all__ = ["PackError", "Packed", "Weights", "pack"]
