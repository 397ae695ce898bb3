"""MACE as machine code for the CPU: trained weights packed for inference, and loops that Numba compiles."""
