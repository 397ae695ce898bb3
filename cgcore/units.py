"""Physical constants in the one unit system of the project: nm, ps, g/mol, kJ/mol, K."""

KB = 0.0083144626
"""Boltzmann constant, kJ/mol/K."""

MEV_PER_ANGSTROM = 0.964853
"""One meV/Å in kJ/mol/nm."""

KCAL = 4.184
"""One kcal/mol in kJ/mol."""

LENGTHS = {"nm": 1.0, "Å": 0.1, "Bohr": 0.0529177211}
"""What one of each is in nm."""

TIMES = {"ps": 1.0, "fs": 1e-3, "ns": 1e3}
"""What one of each is in ps."""

FORCES = {
    "kJ/mol/nm": 1.0, "kcal/mol/nm": KCAL, "kJ/mol/Å": 10.0, "kcal/mol/Å": 10 * KCAL, "eV/nm": 96.485332, "eV/Å": 964.85332,
    "Hartree/Bohr": 49614.7526,
}  # fmt: skip
"""What one of each is in kJ/mol/nm."""

PS_PER_NS = 1000.0
FS_PER_PS = 1000.0
SECONDS_PER_DAY = 86400.0


def kT(temperature_K: float) -> float:
    """Thermal energy k_B T in kJ/mol."""
    return KB * temperature_K


def ns_per_day(simulated_ps: float, wall_s: float) -> float:
    """Simulated nanoseconds per day of wall time."""
    return simulated_ps / PS_PER_NS / wall_s * SECONDS_PER_DAY


def unit_word(text: str) -> str:
    """A unit as the tables here spell it: "kcal mol-1 Angstrom-1" and "kilocalorie/mole/angstrom" are kcal/mol/Å.

    What no table has is returned as it was.
    """
    word = text.strip().lower().replace(" ", "/").replace("*", "/").replace("-1", "").replace("(", "").replace(")", "")
    spelled = {
        "nanometer": "nm",
        "angstrom": "å",
        "å": "å",
        "a": "å",
        "a0": "bohr",
        "picosecond": "ps",
        "femtosecond": "fs",
    }
    spelled |= {"kilocalorie": "kcal", "kilojoule": "kj", "mole": "mol", "ev": "ev", "ha": "hartree"}
    word = "/".join(spelled.get(part.removesuffix("s") if len(part) > 2 else part, part) for part in word.split("/"))
    known = {name.lower(): name for name in (*LENGTHS, *TIMES, *FORCES)}
    return known.get(word, text)
