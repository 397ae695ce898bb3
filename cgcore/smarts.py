"""Atoms found by SMARTS patterns, which name a chemical environment in place of a residue and its atoms.

Topology files hold bonds, and no bond orders: these are found from the valences, for which all hydrogens must be there
(Kim & Kim, Bull. Korean Chem. Soc. 36, 1769 (2015), as implemented in RDKit). RDKit is optional: `pip install
cgcore[smarts]`.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cgcore.errors import CgcoreError

from .frames import Topology

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
    """All matches in the topology, in the order of their first atoms.

    patterns: name -> SMARTS. Where atoms of a pattern carry a map number, as in "[CH3:1][CH2:1]C", those are taken and the
    others are only surroundings; else all are. with_hydrogens: each atom brings its hydrogens. Raises SmartsError without
    RDKit, for what is no pattern, a pattern that matches nothing, an atom that two matches claim, and a molecule for whose
    bonds no orders can be found.
    """
    queries = {name: _query(name, pattern) for name, pattern in patterns.items()}
    found, known = [], {}
    for atoms, bonds in _molecules(topology):
        elements = tuple(topology.elements[a] for a in atoms)
        key = (elements, bonds)
        if key not in known:  # the molecules of a liquid are equal
            molecule = _molecule(elements, bonds, f"{topology.residues[atoms[0]]}:{topology.names[atoms[0]]}")
            known[key] = [
                (name, match) for name, query in queries.items() for match in _matches(molecule, query, with_hydrogens)
            ]
        found += [(name, tuple(int(atoms[k]) for k in match)) for name, match in known[key]]
    for name, pattern in patterns.items():
        if name not in {n for n, _ in found}:
            raise SmartsError(
                f"bead {name}: {pattern!r} matches no atoms; hydrogens are atoms here, and rings of alternating double "
                "bonds are aromatic (lower-case letters)"
            )
    _check_claims(found, topology)
    count: dict[str, Iterator[int]] = {name: itertools.count(1) for name in patterns}
    return [Match(next(count[name]), name, atoms) for name, atoms in sorted(found, key=lambda entry: entry[1])]


def _check_claims(found: list[tuple[str, tuple[int, ...]]], topology: Topology):
    owner: dict[int, str] = {}
    for name, atoms in found:
        for atom in atoms:
            if atom in owner:
                whose = f"two matches of {name}" if owner[atom] == name else f"both {owner[atom]} and {name}"
                raise SmartsError(
                    f"{whose} claim atom {topology.residues[atom]}:{topology.names[atom]} (number {atom + 1}); want each "
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


def _molecules(topology: Topology) -> Iterator[tuple[np.ndarray, tuple[tuple[int, int], ...]]]:
    """The atoms of each molecule, and its bonds between their places."""
    n, bonds = topology.n_atoms, np.asarray(topology.bonds).reshape(-1, 2)
    i, j = bonds.T
    part = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)[1]
    order = np.argsort(part, kind="stable")
    place = np.empty(n, int)
    starts = np.searchsorted(part[order], np.arange(part.max() + 2))
    place[order] = np.arange(n) - starts[part[order]]
    by_part = np.argsort(part[i], kind="stable") if len(i) else np.zeros(0, int)
    ends = np.searchsorted(part[i][by_part], np.arange(part.max() + 2)) if len(i) else np.zeros(part.max() + 2, int)
    for k in range(part.max() + 1):
        mine = place[bonds[by_part[ends[k] : ends[k + 1]]]]
        yield order[starts[k] : starts[k + 1]], tuple(sorted((int(a), int(b)) for a, b in mine))


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
        "hydrogens and bonds?"
    )


def _matches(molecule, query, with_hydrogens: bool) -> list[tuple[int, ...]]:
    """Sets of atoms that belong to the bead, each once, ascending."""
    marked = [a.GetIdx() for a in query.GetAtoms() if a.GetAtomMapNum()] or range(query.GetNumAtoms())
    found = set()
    for match in molecule.GetSubstructMatches(query, uniquify=False, maxMatches=MOST):
        atoms = {match[k] for k in marked}
        if with_hydrogens:
            neighbours = [n for a in atoms for n in molecule.GetAtomWithIdx(a).GetNeighbors()]
            atoms |= {n.GetIdx() for n in neighbours if n.GetAtomicNum() == 1}
        found.add(tuple(sorted(atoms)))
    return sorted(found)
