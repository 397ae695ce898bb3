"""Energies: pure functions of one frame."""
