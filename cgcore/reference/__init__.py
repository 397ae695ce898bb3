"""Atomistic reference simulations: built, run and checked by two engines, the same physics in both."""
