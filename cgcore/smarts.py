"""Atoms found by SMARTS patterns, which name a chemical environment in place of a residue and its atoms.

Topology files hold bonds, and no bond orders: these are found from the valences, for which all hydrogens must be there
(Kim & Kim, Bull. Korean Chem. Soc. 36, 1769 (2015), as implemented in RDKit). RDKit is optional: `pip install
cgcore[smarts]`.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cgcore.errors import CgcoreError

from .frames import Topology
from .geometry import each_molecule

CHARGES = (0, 1, -1, 2, -2, 3, -3)
"""Net charges of a molecule that are tried, in this order; bond orders exist for one of them at most."""
MOST = 100_000
"""Matches in one molecule, and rounds of the search for bond orders."""


class SmartsError(CgcoreError, ValueError):
    """A pattern that finds no atoms, or too many, with what was wanted, what was found and the likely slip."""


class Match(NamedTuple):
    """One place where a pattern fits. number: which of its pattern's, from 1 along the topology; atoms: ascending."""

    number: int
    name: str
    atoms: tuple[int, ...]


def find(patterns: dict[str, str], topology: Topology, *, with_hydrogens: bool) -> list[Match]:
    """Find all matches in the topology, in the order of their first atoms.

    Args:
        patterns: name -> SMARTS. Where atoms of a pattern carry a map number, as in "[CH3:1][CH2:1]C", those are taken
            and the others are only surroundings; else all are.
        with_hydrogens: whether each atom brings its hydrogens.

    Raises:
        SmartsError: without RDKit, for what is no pattern, a pattern that matches nothing, an atom that two matches
            claim, and a molecule for whose bonds no orders can be found.
    """
    _check_bonds(topology)
    queries = {name: _query(name, pattern) for name, pattern in patterns.items()}
    matches, by_kind = [], {}
    for atoms, bonds in each_molecule(topology.bonds, topology.n_atoms):
        elements = tuple(topology.elements[a] for a in atoms)
        key = (elements, bonds)
        if key not in by_kind:  # the molecules of a liquid are equal
            molecule = _molecule(elements, bonds, topology.atom(atoms[0]))
            by_kind[key] = [
                (name, match) for name, query in queries.items() for match in _matches(molecule, query, with_hydrogens)
            ]
        matches += [(name, tuple(int(atoms[k]) for k in match)) for name, match in by_kind[key]]
    for name in patterns.keys() - {n for n, _ in matches}:
        raise SmartsError(
            f"bead {name}: {patterns[name]!r} matches no atoms; hydrogens are atoms here, and rings of alternating double "
            "bonds are aromatic (lower-case letters)"
        )
    _check_claims(matches, topology)
    count: dict[str, Iterator[int]] = {name: itertools.count(1) for name in patterns}
    return [Match(next(count[name]), name, atoms) for name, atoms in sorted(matches, key=lambda entry: entry[1])]


def one_molecule(topology: Topology):
    """The first molecule of a topology as RDKit's, with bond orders, and its atoms. Raises SmartsError without RDKit, for molecules
    of several kinds, and for one for whose bonds no orders can be found."""
    try:
        import rdkit  # noqa: F401
    except ImportError as error:
        raise SmartsError(
            "functional groups and rings are found by RDKit, which is not installed: `pip install cgcore[smarts]`"
        ) from error
    _check_bonds(topology)
    kinds = {}
    for atoms, bonds in each_molecule(topology.bonds, topology.n_atoms):
        kinds.setdefault((tuple(topology.elements[a] for a in atoms), bonds), atoms)
    if len(kinds) > 1:
        raise SmartsError(f"functional groups are looked for in molecules of one kind, here are {len(kinds)}")
    (((elements, bonds), atoms),) = kinds.items()
    return _molecule(elements, bonds, topology.atom(atoms[0])), atoms


def atoms_of(molecule, name: str, pattern: str) -> list[frozenset[int]]:
    """The sets of atoms in a molecule of `one_molecule` that a pattern takes, in the order of their first atoms."""
    return list(map(frozenset, _matches(molecule, _query(name, pattern), with_hydrogens=False)))


def _check_bonds(topology: Topology):
    """Raise SmartsError for atoms without a bond beside others of their residue."""
    bonded = np.bincount(topology.bonds.ravel(), minlength=topology.n_atoms) > 0
    size = np.bincount(topology.residue_index)[list(topology.residue_index)]
    if (alone := np.flatnonzero(~bonded & (size > 1))).size:
        raise SmartsError(
            f"{topology.atom(alone[0])} and {alone.size - 1} others of their residues have no bonds, and patterns are found along "
            "bonds; want CONECT records, a GROMACS .top, or another file with the bonds (`cgcore import --bonds`)"
        )


def _check_claims(matches: list[tuple[str, tuple[int, ...]]], topology: Topology):
    owner: dict[int, str] = {}
    for name, atoms in matches:
        for atom in atoms:
            if atom in owner:
                whose = f"two matches of {name}" if owner[atom] == name else f"both {owner[atom]} and {name}"
                raise SmartsError(
                    f"{whose} claim atom {topology.atom(atom)} (number {atom + 1}); want each "
                    "atom in one bead: name more of the surroundings, and mark with :1 what belongs to the bead"
                )
            owner[atom] = name


def _query(name: str, pattern: str):
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise SmartsError(
            f"bead {name} is named by SMARTS ({pattern!r}), and RDKit, which reads it, is not installed; "
            "`pip install cgcore[smarts]` or `pip install rdkit`, or name the bead by residue and atoms"
        ) from error
    with rdBase.BlockLogs():
        query = Chem.MolFromSmarts(pattern)
    if query is None or not query.GetNumAtoms():
        raise SmartsError(f"bead {name}: {pattern!r} is no SMARTS pattern")
    return query


def _molecule(elements: tuple[str, ...], bonds: tuple[tuple[int, int], ...], where: str):
    """An RDKit molecule with bond orders, charges and aromatic rings."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDetermineBonds

    for charge in CHARGES:
        molecule = Chem.RWMol()
        for element in elements:
            atom = Chem.Atom(element)
            atom.SetNoImplicit(True)
            molecule.AddAtom(atom)
        for i, j in bonds:
            molecule.AddBond(i, j, Chem.BondType.SINGLE)
        with rdBase.BlockLogs():
            try:
                if bonds:
                    rdDetermineBonds.DetermineBondOrders(molecule, charge, True, False, False, MOST)
                Chem.SanitizeMol(molecule)
            except (ValueError, RuntimeError):  # not this charge
                continue
        return molecule
    raise SmartsError(
        f"no bond orders fit the molecule of {len(elements)} atoms that begins with {where}; does the topology hold all its "
        "hydrogens and bonds? The search for a large molecule may also have been given up: name its beads by residue and atoms"
    )


def _matches(molecule, query, with_hydrogens: bool) -> list[tuple[int, ...]]:
    """Sets of atoms that belong to the bead, each once, ascending."""
    marked = [a.GetIdx() for a in query.GetAtoms() if a.GetAtomMapNum()] or range(query.GetNumAtoms())
    sets_of_atoms = set()
    for match in molecule.GetSubstructMatches(query, uniquify=False, maxMatches=MOST):
        atoms = {match[k] for k in marked}
        if with_hydrogens:
            neighbours = [n for a in atoms for n in molecule.GetAtomWithIdx(a).GetNeighbors()]
            atoms |= {n.GetIdx() for n in neighbours if n.GetAtomicNum() == 1}
        sets_of_atoms.add(tuple(sorted(atoms)))
    return sorted(sets_of_atoms)
