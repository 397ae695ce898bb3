"""MACE as Warp kernels, one source for graphics cards and, to test it, for the processor: the arrays of `native`, packed."""
