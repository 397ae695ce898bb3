"""Physical constants in the one unit system of the project: nm, ps, g/mol, kJ/mol, K."""

KB = 0.0083144626
"""Boltzmann constant, kJ/mol/K."""

MEV_PER_ANGSTROM = 0.964853
"""One meV/Å in kJ/mol/nm."""

KCAL = 4.184
"""One kcal/mol in kJ/mol."""

PS_PER_NS = 1000.0
FS_PER_PS = 1000.0
SECONDS_PER_DAY = 86400.0


def kT(temperature_K: float) -> float:
    """Thermal energy k_B T in kJ/mol."""
    return KB * temperature_K


def ns_per_day(simulated_ps: float, wall_s: float) -> float:
    """Simulated nanoseconds per day of wall time."""
    return simulated_ps / PS_PER_NS / wall_s * SECONDS_PER_DAY
