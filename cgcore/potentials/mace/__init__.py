"""MACE: the network (`network.py`), its constants (`couplings.py`), and exchange with mace-torch (`exchange.py`)."""

from .exchange import from_mace_torch, read_mace_torch, to_mace_torch
from .network import Model, build, for_frames

__all__ = ["Model", "build", "for_frames", "from_mace_torch", "read_mace_torch", "to_mace_torch"]
