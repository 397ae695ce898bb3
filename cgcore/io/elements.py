"""The element of an atom: as the file has it, or told by residue, name and mass where these agree; never guessed."""

import re
from functools import lru_cache

from mdtraj.core.element import Element
from mdtraj.core.residue_names import _NUCLEIC_ACID_CODES, _WATER_RESIDUES

from .raw import TrajectoryError

AMINO_ACIDS = (
    "ACE ALA ARG ASH ASN ASP CYM CYS CYX GLH GLN GLU GLY HID HIE HIP HIS HSD HSE HSP ILE LEU LYN LYS MET NH2 NMA NME PHE PRO "
    "SER THR TRP TYR VAL"
)
RESIDUES = {*AMINO_ACIDS.split(), *_WATER_RESIDUES, *_NUCLEIC_ACID_CODES}
ORGANIC = {"C", "H", "N", "O", "P", "S"}
"""What they are made of, and what their atoms' names begin with: CA is a carbon there."""
ELEMENTS = [e for e in Element._elements_by_symbol.values() if e.mass > 0 and e.symbol != "D"]
NOBLE = {"He", "Ne", "Ar", "Kr", "Xe"}
TOLERANCE = 0.2
"""How far a mass may be from that of its element, g/mol."""


@lru_cache(maxsize=10_000)  # the molecules of a liquid are alike
def element(where, name: str, residue: str, *, symbol: str = "", mass: float | None = None, alone: bool = False):
    """Find the element of an atom, as mdtraj has it.

    Args:
        where: the file, and the line if known, for messages.
        symbol: as the file has it, or an atomic number; empty where the file has none.
        mass: g/mol, None where the file has none.
        alone: whether the residue has no other atom, such as an ion.

    Raises TrajectoryError where residue, name and what else is known of an atom do not agree on one element.
    """
    letters, standard = re.match(r"\d*([A-Za-z]*)", name)[1].upper(), residue in RESIDUES
    possible = {letters} if alone else {letters[:1], letters[:2]}
    possible = {letters[:1]} & ORGANIC if standard else possible
    possible = {e for e in ELEMENTS if e.symbol.upper() in possible and (alone or e.symbol not in NOBLE)}
    found = possible
    if symbol:
        found = {e for e in ELEMENTS if symbol.upper() in (e.symbol.upper(), str(e.atomic_number))}
        found = found & possible if standard else found
    elif mass is not None:
        found = {e for e in possible if abs(e.mass - mass) <= TOLERANCE}
    if len(found) == 1:
        return found.pop()
    has = f"element {symbol!r}" if symbol else "no element" if mass is None else f"mass {mass:g} g/mol"
    raise TrajectoryError(
        f"{where}: atom {name} of residue {residue} has {has}, and a name for {_listed(possible)}; these want to agree on "
        "one. Fill the element column (77-78) of a PDB file; take a PDB in place of a GRO file, which has no elements; give "
        "atomic numbers in [ atomtypes ] of a .top, where masses are repartitioned; united atoms and virtual sites have none"
    )


def _listed(elements) -> str:
    return " or ".join(sorted(e.symbol for e in elements)) or "no element"
