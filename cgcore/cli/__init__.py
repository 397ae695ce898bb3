"""The commands of `cgcore`: frames of atoms, models of beads, and the book."""

from . import atoms, models, of_book
from .app import app

__all__ = ["app", "atoms", "models", "of_book"]
