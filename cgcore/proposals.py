"""Groupings of atoms that a topology suggests, as map files, with the doctor's verdict on each beside the others.

Of peptides those of the paper: C-alpha, backbone (core), backbone and C-beta, heavy atoms, united atoms; of any molecule heavy
and united atoms, its functional groups, and its longest chain cut into equal parts. A proposal is a grouping; the doctor
proposes typings.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import networkx

from cgcore.errors import read_text

from . import doctor, functional_groups, map_files, mapping
from .doctor.findings import CLEAR, LEVELS, NOTE
from .frames import Frames, Topology
from .functional_groups import Partition, letter
from .map_files import CAPS, MappingError
from .peptides import BACKBONE, neighbours
from .smarts import SmartsError
from .suggestions import suggest

MOST_SITES = 8
"""Parts of a chain, at most."""
TYPINGS = """
[typings.published]
description = "beads of the same elements are alike"
by = "composition"

[typings.residue]
description = "beads are alike in every residue of a name"
by = "residue"

[typings.unique]
description = "all beads different"
by = "bead"

[typings.single]
description = "all beads alike"
by = "nothing"
"""


class Grouping(NamedTuple):
    """A map to be. table: of its file, without typings; refused: why there is none."""

    name: str
    table: dict = {}
    refused: str = ""

    def toml(self) -> str:
        """The text of its map file."""
        tables = {f"residues.{residue}": beads for residue, beads in self.table.get("residues", {}).items()}
        tables |= {"smarts": self.table["smarts"]} if "smarts" in self.table else {}
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.table.items() if not isinstance(value, dict)]
        lines.append(TYPINGS)
        for heading, rows in tables.items():
            lines += [f"[{heading}]", *(f"{_key(key)} = {json.dumps(value)}" for key, value in rows.items()), ""]
        return "\n".join(lines)


def _key(name: str) -> str:
    """A key of TOML, in quotes where it needs them."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name)


class Proposal(NamedTuple):
    """One grouping as the doctor sees it. level: the worst of its findings; why: that finding; pairs: within the cut-off, of
    which the cost of a step goes; refused: why there is no such map, then the rest is empty."""

    name: str
    beads: int = 0
    level: str = ""
    why: str = ""
    do: str = ""
    cutoff_nm: float = 0.0
    step_fs: float = 0.0
    pairs: int = 0
    refused: str = ""

    @property
    def mark(self) -> str:
        return LEVELS[self.level]["mark"]


def groupings(topology: Topology) -> list[Grouping]:
    """The groupings that a topology suggests, each once; one that takes what is not installed says so."""
    names = ["heavy_atom", "united_atom"]
    inner = [set(residue) for name, residue in _residues(topology) if name not in CAPS]
    peptide = bool(inner) and all(residue >= set(BACKBONE) for residue in inner)
    if peptide:
        names += ["core"] + ["core_beta"] * any("CB" in residue for residue in inner) + ["chain_ca"] * (len(inner) > 2)
    if "H" not in topology.elements:
        names.remove("united_atom")
    found = [Grouping(name, {k: v for k, v in map_files.find(name).items() if k != "typings"}) for name in names]
    return found if peptide else found + _of_one_molecule(topology)


def _residues(topology: Topology) -> list[tuple[str, dict[str, int]]]:
    """Name and atoms by name of each residue."""
    members: dict[int, dict[str, int]] = {}
    for atom, residue in enumerate(topology.residue_index):
        members.setdefault(residue, {})[topology.names[atom]] = atom
    return [(topology.residues[min(atoms.values())], atoms) for atoms in members.values()]


def _of_one_molecule(topology: Topology) -> list[Grouping]:
    """By functional groups, and where the molecule is one residue its longest chain in equal parts; no grouping twice."""
    found, known = [], set()
    try:
        parted = list(functional_groups.partitions(topology))
    except SmartsError as error:
        parted, found = [], [Grouping("groups", refused=str(error))]
    for name, description, beads, patterns in parted + _chain(topology):
        partition = frozenset(atoms for _, atoms in beads)
        if len(partition) == 1 or partition in known or all(len(atoms) == 1 for atoms in partition):
            continue  # one bead, the same again, or united atoms
        known.add(partition)
        table = {"description": description, "leaves_atoms_out": False}
        if patterns:
            table |= {"with_hydrogens": True, "smarts": patterns}
        elif len(set(topology.residues)) == len({topology.residue_index[a] for _, atoms in beads for a in atoms}) == 1:
            table |= {"residues": {topology.residues[0]: _by_name(topology, beads)}}
        else:
            found.append(
                Grouping(name, refused="no patterns tell its beads apart, and the molecule has several residues")
            )
            continue
        found.append(Grouping(name, table))
    return found


def _by_name(topology: Topology, beads) -> dict[str, list[str]]:
    """Bead -> names of its atoms with their hydrogens, in the order of the file; alike ones as NAME_a, NAME_b, ..."""
    near, names = neighbours(topology), [name for name, _ in beads]
    owner = {atom: place for place, (_, atoms) in enumerate(beads) for atom in atoms}
    owner |= {h: place for atom, place in owner.items() for h in near[atom] if topology.elements[h] == "H"}
    ends = [f"_{letter(names[:place].count(name))}" * (names.count(name) > 1) for place, name in enumerate(names)]
    keys = [f"{name}{end}" for name, end in zip(names, ends, strict=True)]
    table: dict[str, list[str]] = {key: [] for key in keys}
    for atom in sorted(owner):
        table[keys[owner[atom]]].append(topology.names[atom])
    return table


def _chain(topology: Topology) -> list[Partition]:
    """The longest chain of heavy atoms of a molecule of one residue, cut into equal parts; side groups go with their atom."""
    if len(set(topology.residues)) != 1:
        return []
    first = set(_residues(topology)[0][1].values())
    heavy = networkx.Graph()
    heavy.add_nodes_from(sorted(atom for atom in first if topology.elements[atom] != "H"))
    heavy.add_edges_from((i, j) for i, j in topology.bonds.tolist() if {i, j} <= set(heavy))
    if len(heavy) < 4 or not networkx.is_tree(heavy):
        return []  # of rings there is no chain to cut
    found = []
    for sites in range(2, min(MOST_SITES, (networkx.diameter(heavy) + 1) // 2 + 1) + 1):
        parts = enumerate(map(frozenset, functional_groups.cut(heavy, sites)), start=1)
        beads = [(f"S{k}", part) for k, part in parts]
        found.append(Partition(f"sites_{sites}", f"{sites} parts of the chain", beads, None))
    return found


def propose(topology: Topology, frames: Frames, out: Path, *, temperature_K: float = 300.0) -> list[Proposal]:
    """Write every grouping as <out>/<name>.toml, examine it on the frames, and rank them: the soundest first, then the
    cheapest. The verdict of each is <out>/<name>.txt."""
    found = []
    for grouping in groupings(topology):
        if grouping.refused:
            found.append(Proposal(grouping.name, refused=grouping.refused))
            continue
        path = Path(out) / f"{grouping.name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and read_text(path) != grouping.toml():
            raise MappingError(
                f"{path}: there is another map of that name, perhaps one that was changed; want another --out"
            )
        path.write_text(grouping.toml(), encoding="utf-8")
        try:
            beads = mapping.load(path, topology)
        except MappingError as error:
            found.append(Proposal(grouping.name, refused=str(error)))
            continue
        examination = doctor.examine(beads, topology, frames, temperature_K=temperature_K)
        path.with_suffix(".txt").write_text(doctor.verdict(examination) + "\n", encoding="utf-8")
        level = doctor.headline(examination)
        worst = next(
            (f for f in doctor.findings(examination) if f.level == level and f.level not in (CLEAR, NOTE)), None
        )
        suggested = suggest(beads, topology, frames, temperature_K)
        found.append(
            Proposal(
                name=grouping.name,
                beads=len(beads.beads),
                level=level,
                why=LEVELS[level]["headline"] if worst is None else f"{worst.kind}: {worst.what}",
                do="" if worst is None or worst.do == "nothing" else worst.do,
                cutoff_nm=suggested.cutoff_nm,
                step_fs=1000 * suggested.dt_ps,
                pairs=round(suggested.edges),
            )
        )
    order = list(LEVELS)
    return sorted(
        found, key=lambda p: (bool(p.refused), -order.index(p.level) if p.level else 0, p.pairs / (p.step_fs or 1))
    )


def ranking(proposals: list[Proposal]) -> str:
    """What a person reads of proposals: each with what it costs, its worst finding, and what to do about it."""
    lines = []
    for p in proposals:
        if p.refused:
            lines.append(f"– {p.name}: no such map here: {p.refused}")
            continue
        cost = f"{p.beads} beads, cut-off {p.cutoff_nm:g} nm, step {p.step_fs:g} fs, {p.pairs} pairs in reach"
        lines += [f"{p.mark} {p.name}: {cost}", f"    {p.why}", *([f"    do: {p.do}"] if p.do else [])]
    return "\n".join(lines)
