"""Coarse-graining with machine-learned potentials: the kernels behind the book.

Units everywhere: nm, ps, g/mol, kJ/mol, K. Importing this package has no side effects.
"""

__version__ = "0.1.0"
