"""From atoms to beads: which atoms form a bead (grouping), and which species it is of (typing).

Both are tables of names in TOML (`maps/*.toml`, or a file of your own); masses, elements and bonds come from the
topology. A table has

    description, leaves_atoms_out          what it is; whether atoms may belong to no bead
    [residues.ALA]   CA = ["CA", "HA"]     bead = atoms, in the order of the beads; one table for each residue name
    atoms = ["N", "CA", "C"]               by rule, for residues without a table: a bead for each of these atoms of a peptide,
                                           of its caps for the one in the backbone; or "heavy" or "all", of any molecule
    [typings.published]  description, by       by = "composition" (beads of the same elements are alike), "bead" (all
                                           different), "residue" (alike in every residue of a name),
                                           "nothing" (all alike), or labels = { CA = "A", ... }
    [dihedrals]      phi = [four beads]    observables; by rule phi and psi, of several residues phi_1, psi_1, phi_2, ...
    dihedrals_of_the_middle = true         optional, of a rule: phi and psi of the residue in the middle, and no others
    bonds_through_left_out = true          optional: beads are bonded, too, where a path of left-out atoms joins them
    with_hydrogens = true                  optional, of a rule or patterns: each atom brings its hydrogens

In place of residues and rule,

    [smarts]         CA = "[CX4H:1]C=O"    bead = SMARTS pattern; where atoms are marked with :1, only those are the bead's

Where a residue occurs more than once, its beads are numbered along the topology: CA_1, CA_2, ... So are the molecules
of a liquid, one residue each, and the matches of a pattern.
"""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from . import map_files, peptides
from .config import did_you_mean
from .frames import Frames, Topology
from .geometry import molecules
from .map_files import MappingError
from .smarts import SmartsError, find


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """N beads over A atoms."""

    name: str
    typing: str
    beads: tuple[str, ...]  # N names, in array order
    species: tuple[int, ...]  # N, from 0 to S - 1, numbered as they first appear
    species_names: tuple[str, ...]  # S
    atoms: tuple[tuple[int, ...], ...]  # N sets of atom indices
    weights: csr_array  # (N, A), rows sum to 1
    force_weights: csr_array  # (N, A), 0 or 1 for the plain sum; `force_maps` has others
    mass: np.ndarray  # (N,) g/mol
    bonds: np.ndarray  # (P, 2) bead indices, i < j; bonded when any of their atoms are, or see above
    dihedrals: dict[str, tuple[int, int, int, int]]  # observable -> bead indices

    @property
    def bead_of(self) -> np.ndarray:
        """(A,) the bead that each atom belongs to, -1 for none."""
        return _bead_of(self.atoms, self.weights.shape[1])

    def indices(self, *beads: str) -> tuple[int, ...]:
        """Positions of the named beads; MappingError for a name that is none."""
        for bead in beads:
            if bead not in self.beads:
                raise MappingError(
                    f"map {self.name!r}: no bead {bead!r}; there are {list(self.beads)}{did_you_mean(bead, self.beads)}"
                )
        return tuple(self.beads.index(bead) for bead in beads)


class Available(NamedTuple):
    """One map with one typing that comes with the package."""

    map: str
    typing: str
    fits: str  # what molecules
    description: str


def available() -> tuple[Available, ...]:
    """List all maps and typings that come with the package."""
    tables = {path.name.removesuffix(".toml"): map_files.read(path) for path in map_files.bundled()}
    return tuple(
        Available(name, typing, map_files.fits(table), f"{table['description']}; {entry['description']}")
        for name, table in tables.items()
        for typing, entry in table["typings"].items()
    )


def load(name, topology: Topology, *, typing: str = "published", residue: str | None = None) -> Mapping:
    """Build the map of that name (or of a path to a TOML file) for this topology, with one of its typings.

    residue: one that the topology must hold; None for whichever it holds.

    Raises MappingError for an unknown map, typing, residue or key; an atom that the topology lacks, that is named
    twice, or that is left out where the map must cover all; a pattern that `smarts.find` refuses; a molecule whose
    beads are not connected by bonds; a constraint of the simulation that pulls at a bead from outside.
    """
    table, name = map_files.find(name, typing, residue), Path(name).stem
    if "smarts" not in table and residue and residue.upper() not in topology.residues:
        held = list(dict.fromkeys(topology.residues))
        raise MappingError(
            f"residue {residue!r} is not in the topology, which holds {held}{did_you_mean(residue.upper(), held)}"
        )
    stems, beads, atoms = _group(name, table, topology)
    _check_constraints(name, topology, atoms)
    labels = _label(name, table["typings"][typing], topology, stems, beads, atoms)
    species_names = tuple(dict.fromkeys(labels))
    column = np.concatenate([np.sort(indices) for indices in atoms])
    member = csr_array(
        (np.ones(len(column)), column, np.cumsum([0, *map(len, atoms)])), shape=(len(beads), topology.n_atoms)
    )
    mass = member @ topology.mass
    mapping = Mapping(
        name=name,
        typing=typing,
        beads=beads,
        species=tuple(species_names.index(label) for label in labels),
        species_names=species_names,
        atoms=atoms,
        weights=(member * topology.mass / mass[:, None]).tocsr(),
        force_weights=member,
        mass=mass,
        bonds=_bonds(name, topology, beads, atoms, table.get("bonds_through_left_out", False)),
        dihedrals={},
    )
    dihedrals = {key: mapping.indices(*four) for key, four in table.get("dihedrals", {}).items()}
    if "atoms" in table and not dihedrals:
        dihedrals = _along_the_chain(topology, mapping, stems, table.get("dihedrals_of_the_middle", False))
    part = molecules(mapping.bonds, len(beads))
    for key, four in dihedrals.items():
        if len(set(part[list(four)])) > 1:
            raise MappingError(
                f"map {name!r}: the beads of {key} are not connected by bonds; does the topology file hold those "
                "between residues (CONECT records)?"
            )
    return replace(mapping, dihedrals=dihedrals)


def apply(mapping: Mapping, frames: Frames, *, require_forces: bool = False) -> Frames:
    """Map frames of atoms to frames of beads, by the centre-of-mass map of the paper, equations 1 to 3.

        R_I = sum_{i in S_I} w_Ii r_i                (1)
        w_Ii = m_i / sum_{j in S_I} m_j              (2)
        F_I = sum_{i in S_I} f_i                     (3)

    Each atom belongs to at most one bead. Molecules are whole in `Frames`, so sums need no periodic images. Sums are in
    float64, results in the type of the input. Missing forces stay missing, or raise MappingError if required.
    """
    n_atoms = mapping.weights.shape[1]
    if frames.position.shape[1] != n_atoms:
        slip = "; these frames are mapped already" if frames.names == mapping.beads else ""
        raise MappingError(
            f"map {mapping.name!r}: want frames of {n_atoms} atoms, got {frames.position.shape[1]}{slip}"
        )
    if require_forces and frames.force is None:
        raise MappingError(f"map {mapping.name!r}: want frames with forces, these have none")
    return replace(
        frames,
        position=_sum(mapping, mapping.weights, frames.position),
        force=None if frames.force is None else _sum(mapping, mapping.force_weights, frames.force),
        names=mapping.beads,
    )


def _sum(mapping: Mapping, weights: csr_array, values) -> np.ndarray:
    """Weighted sums over the atoms that count for each bead: (N, A), (T, A, 3) -> (T, N, 3)."""
    values = np.asarray(values)
    out = np.empty((len(values), len(mapping.beads), 3), dtype=values.dtype)
    for bead, (start, end) in enumerate(pairwise(weights.indptr)):
        atoms = weights.indices[start:end]
        out[:, bead] = np.einsum("a,tad->td", weights.data[start:end], values[:, atoms].astype(np.float64))
    return out


def _group(name: str, table: dict, topology: Topology):
    """Unnumbered names, names and atoms of the beads, residue by residue or match by match."""
    groups = (_by_smarts if "smarts" in table else _by_residue)(name, table, topology)
    if not groups:
        raise MappingError(f"map {name!r}: no beads for this topology")
    missing = sorted(set(range(topology.n_atoms)) - {atom for _, _, atoms in groups for atom in atoms})
    if missing and not table["leaves_atoms_out"]:
        names = [topology.atom(a) for a in missing]
        raise MappingError(
            f"map {name!r}: {len(names)} atoms belong to no bead ({', '.join(names[:5])}); set leaves_atoms_out?"
        )
    stems = tuple(bead for _, bead, _ in groups)
    times = Counter(stems)
    ordinal = {
        residue: k for k, residue in enumerate(dict.fromkeys(r for r, bead, _ in groups if times[bead] > 1), start=1)
    }
    beads = tuple(f"{bead}_{ordinal[residue]}" if times[bead] > 1 else bead for residue, bead, _ in groups)
    return stems, beads, tuple(atoms for _, _, atoms in groups)


def _by_smarts(name: str, table: dict, topology: Topology) -> list[tuple[int, str, tuple[int, ...]]]:
    """(Which match of its pattern, bead without number, atoms)."""
    try:
        return find(table["smarts"], topology, with_hydrogens=table.get("with_hydrogens", False))
    except SmartsError as error:
        raise MappingError(f"map {name!r}: {error}") from error


def _by_residue(name: str, table: dict, topology: Topology) -> list[tuple[int, str, tuple[int, ...]]]:
    """(Residue, bead without number, atoms)."""
    residues: dict[int, list[int]] = {}
    for atom, residue in enumerate(topology.residue_index):
        residues.setdefault(residue, []).append(atom)
    groups, tables, rule = [], table.get("residues", {}), table.get("atoms")
    near = peptides.neighbours(topology) if table.get("with_hydrogens") else [()] * topology.n_atoms
    for number, members in residues.items():
        residue = topology.residues[members[0]]
        index = {}
        for atom in members:
            if index.setdefault(topology.names[atom], atom) != atom:
                raise MappingError(f"atom {topology.atom(atom)} occurs twice in the topology")
        beads = tables.get(residue)
        if beads is None and rule is None:
            raise MappingError(
                f"map {name!r}: the topology holds residue {residue!r}, the map only {sorted(tables)}; an empty table "
                f"[residues.{residue}] leaves it out, and `cgcore propose` makes maps of any molecule"
            )
        if beads is None:
            beads = peptides.beads(name, rule, topology, index, near)
        for bead, atoms in beads.items():
            for atom in atoms:
                if atom not in index:
                    raise MappingError(
                        f"map {name!r}, bead {bead}: residue {topology.residue(members[0])} has no atom {atom!r}; it has "
                        f"{list(index)}{did_you_mean(atom, index)}"
                    )
            groups.append((number, bead, tuple(index[atom] for atom in atoms)))
    for atom in rule if isinstance(rule, list) and not tables else ():
        if atom not in {bead for _, bead, _ in groups}:
            raise MappingError(f"map {name!r}: no residue of the topology has an atom {atom!r}; want a map without it")
    return groups


def _along_the_chain(topology: Topology, mapping: Mapping, stems, middle: bool) -> dict[str, tuple[int, ...]]:
    """phi and psi of every residue with a bead CA, or of the one in the middle: name -> bead indices."""
    bead_of, found = mapping.bead_of, list(peptides.dihedrals(topology))
    central, dihedrals = max((number for _, number, _ in found), default=0) // 2, {}
    for kind, number, atoms in found:
        four = tuple(int(bead_of[atom]) for atom in atoms)
        alpha = four[2 if kind == "phi" else 1]
        if min(four) >= 0 and len(set(four)) == 4 and stems[alpha] == "CA" and (number == central or not middle):
            dihedrals[kind if middle else kind + mapping.beads[alpha].removeprefix("CA")] = four
    return dihedrals


def _bead_of(atoms, n_atoms: int) -> np.ndarray:
    bead_of = np.full(n_atoms, -1)
    for bead, indices in enumerate(atoms):
        bead_of[list(indices)] = bead
    return bead_of


def _check_constraints(name: str, topology: Topology, atoms):
    """Forces of constraints are in no trajectory: they must cancel inside a bead, or touch none (Noid et al., 2008)."""
    bead_of = _bead_of(atoms, topology.n_atoms)
    for i, j in topology.constraints.tolist():
        if bead_of[i] != bead_of[j]:
            raise MappingError(
                f"map {name!r}: the simulation held the distance of {topology.atom(i)} and {topology.atom(j)} fixed, which are not in the same bead; the "
                "force of that constraint is not in the trajectory, so mapped forces would be wrong. Want a run "
                "without constraints, or a map with both atoms in one bead"
            )


def _label(name: str, typing: dict, topology: Topology, stems, beads, atoms) -> list[str]:
    """A species name for each bead."""
    match typing.get("by"):
        case "composition":
            return [formula([topology.elements[a] for a in indices]) for indices in atoms]
        case "residue":
            return [f"{topology.residues[indices[0]]}_{stem}" for stem, indices in zip(stems, atoms, strict=True)]
        case "bead":
            return list(beads)
        case "nothing":
            return ["bead"] * len(beads)
    labels = typing["labels"]
    for key in sorted(labels.keys() - set(stems) - set(beads)):
        raise MappingError(f"map {name!r}: a label for {key!r}, which is no bead{did_you_mean(key, beads)}")
    for stem, bead in zip(stems, beads, strict=True):
        if stem not in labels and bead not in labels:
            raise MappingError(f"map {name!r}: no label for bead {bead!r}")
    return [labels.get(bead, labels.get(stem)) for stem, bead in zip(stems, beads, strict=True)]


def formula(elements: list[str]) -> str:
    """Carbon first, hydrogen last, others by the alphabet: CH3, NH, C2H5."""
    counts = Counter(elements)
    order = sorted(counts, key=lambda e: (e == "H", e != "C", e))
    return "".join(e + (str(counts[e]) if counts[e] > 1 else "") for e in order)


def _bonds(name: str, topology: Topology, beads, atoms, through_left_out: bool) -> np.ndarray:
    """(P, 2) pairs of beads that share an atomic bond, or a path of left-out atoms where such paths count; the beads of
    one molecule must hang together."""
    bead_of = _bead_of(atoms, topology.n_atoms)
    ends = bead_of[topology.bonds]
    if through_left_out:
        ends = np.concatenate([ends, _through(topology.bonds, bead_of)])
    pairs = np.sort(ends, axis=1)
    pairs = np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])], axis=0)
    molecule_of = molecules(topology.bonds, topology.n_atoms)
    _, n_parts, first = _in_parts(topology.residue_index, molecule_of)
    if n_parts > 1:
        raise MappingError(
            f"residue {topology.residue(first)} of the topology falls into {n_parts} parts that no bond connects; does the "
            "topology file hold the bonds (CONECT records, or read a GROMACS .top)?"
        )
    molecule, part = molecule_of[[indices[0] for indices in atoms]], molecules(pairs, len(beads))
    number, n_parts, _ = _in_parts(molecule, part)
    if n_parts > 1:
        pieces = [[beads[i] for i in np.flatnonzero(part == p)] for p in np.unique(part[molecule == number])]
        raise MappingError(
            f"map {name!r}: the beads of one molecule are not connected by bonds, they fall into {pieces}; should bonds lead "
            "through atoms without a bead, say bonds_through_left_out = true"
        )
    return pairs


def _in_parts(group, part: np.ndarray) -> tuple[int, int, int]:
    """The first group that falls into several parts, or any, into how many, and where it begins."""
    belongs = np.unique(np.stack([group, part], axis=1), axis=0)[:, 0]
    numbers, n_parts = np.unique(belongs, return_counts=True)
    k = int(np.argmax(n_parts > 1))
    return int(numbers[k]), int(n_parts[k]), int(np.argmax(np.equal(group, numbers[k])))


def _through(bonds: np.ndarray, bead_of: np.ndarray) -> np.ndarray:
    """(P, 2) beads that one connected part of the left-out atoms (bead_of < 0) touches."""
    part = molecules(bonds[(bead_of[bonds] < 0).all(1)], len(bead_of))
    touches: dict[int, set[int]] = {}
    for i, j in np.concatenate([bonds, bonds[:, ::-1]]):
        if bead_of[i] < 0 <= bead_of[j]:
            touches.setdefault(part[i], set()).add(int(bead_of[j]))
    return np.array([two for several in touches.values() for two in combinations(several, 2)], int).reshape(-1, 2)
