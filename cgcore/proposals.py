"""Groupings of atoms that a topology suggests, as map files, with the doctor's verdict on each beside the others.

Of peptides those of the paper: C-alpha, backbone (core), backbone and C-beta, heavy atoms, united atoms; of any molecule heavy
and united atoms, and its longest chain cut into equal parts. A proposal is a grouping; the doctor proposes typings.
"""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import networkx
import numpy as np

from cgcore.errors import read_text

from . import doctor, mapping
from .doctor.findings import CLEAR, LEVELS, NOTE
from .frames import Frames, Topology
from .map_files import CAPS, MappingError
from .suggestions import suggest

BACKBONE = ("N", "CA", "C")
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
    """A map to be. beads: residue -> bead -> names of its atoms; whole: whether all atoms belong to some bead; refused: why there
    is none."""

    name: str
    description: str
    beads: dict[str, dict[str, list[str]]]
    whole: bool = False
    dihedrals: dict[str, list[str]] = {}
    through: bool = False
    refused: str = ""

    def toml(self) -> str:
        """The text of its map file."""
        lines = [f'description = "{self.description}"', f"leaves_atoms_out = {str(not self.whole).lower()}"]
        lines += ["bonds_through_left_out = true"] * self.through + [TYPINGS]
        for residue, beads in self.beads.items():
            lines += [
                f"[residues.{residue}]",
                *(f"{_key(b)} = {json.dumps(atoms)}" for b, atoms in beads.items()),
                "",
            ]
        if self.dihedrals:
            lines += ["[dihedrals]", *(f"{name} = {json.dumps(four)}" for name, four in self.dihedrals.items()), ""]
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
    """The groupings that fit every residue of a topology; those that do not say why."""
    residues, uneven = _residues(topology)
    heavy = [atom for atom, element in zip(topology.names, topology.elements, strict=True) if element != "H"]
    whole = "" if not uneven else f"{uneven}; give one a name of its own"
    found = [
        Grouping("heavy_atom", "every heavy atom", _by_heavy(topology, residues, hydrogens=False)),
        Grouping(
            "united_atom", "every heavy atom with its hydrogens", _by_heavy(topology, residues, hydrogens=True), True
        ),
    ]
    covered = sum(len(found[0].beads[name]) for name in _sequence(topology))
    found[0] = found[0]._replace(refused=whole if covered < len(heavy) else "", whole="H" not in topology.elements)
    found[1] = found[1]._replace(refused=whole)
    if "H" not in topology.elements:
        found = found[:1]
    inner = [name for name in residues if name not in CAPS]
    if inner and all({"N", "CA", "C"} <= set(residues[name]) for name in inner):
        found += _peptide(residues, inner, sum(name not in CAPS for name in _sequence(topology)))
    else:
        found += [grouping._replace(refused=whole) for grouping in _chain(topology, residues)]
    return found


def _sequence(topology: Topology) -> list[str]:
    """The name of each residue, in order."""
    first = np.unique(topology.residue_index, return_index=True)[1]
    return [topology.residues[atom] for atom in first]


def _residues(topology: Topology) -> tuple[dict[str, list[str]], str]:
    """Residue -> names of the atoms that all of that name have, and in words where two of a name differ."""
    found: dict[str, list[str]] = {}
    uneven, members = "", {}
    for atom, index in enumerate(topology.residue_index):
        members.setdefault(index, []).append(atom)
    for atoms in members.values():
        names, residue = [topology.names[a] for a in atoms], topology.residues[atoms[0]]
        known = found.setdefault(residue, names)
        if differing := set(known) ^ set(names):
            uneven = (
                uneven
                or f"residue {topology.residue(atoms[0])} has other atoms than the first {residue}: {sorted(differing)}"
            )
            found[residue] = [name for name in known if name in names]
    return found, uneven


def _bonded(topology: Topology, residue: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Of the first residue of a name: neighbours of each atom inside it, and elements, by names of atoms."""
    first = topology.residues.index(residue)
    members = [a for a in range(topology.n_atoms) if topology.residue_index[a] == topology.residue_index[first]]
    names = {a: topology.names[a] for a in members}
    near: dict[str, list[str]] = {name: [] for name in names.values()}
    for i, j in topology.bonds.tolist():
        if i in names and j in names:
            near[names[i]].append(names[j])
            near[names[j]].append(names[i])
    return near, {topology.names[a]: topology.elements[a] for a in members}


def _by_heavy(topology: Topology, residues: dict, *, hydrogens: bool) -> dict[str, dict[str, list[str]]]:
    """Residue -> a bead for each heavy atom."""
    table = {}
    for residue, names in residues.items():
        near, element = _bonded(topology, residue)
        suffix = f"_{residue.lower()}" if residue in CAPS else ""
        table[residue] = {
            f"{name}{suffix}": [name, *(n for n in near[name] if hydrogens and element[n] == "H")]
            for name in names
            if element[name] != "H"
        }
    return table


def _peptide(residues: dict, inner: list[str], length: int) -> list[Grouping]:
    """The maps of the paper. The caps lend the atoms that phi and psi of the ends need."""
    caps = {"ACE": {"C_ace": ["C"]}, "NME": {"N_nme": ["N"]}}
    caps = {name: beads for name, beads in caps.items() if name in residues}
    plain = {name: {atom: [atom] for atom in BACKBONE} for name in inner}
    # In the order of the chain, so that beads of a file follow each other as its atoms do.
    beta = {name: {atom: [atom] for atom in ("N", "CA", "CB", "C") if atom in residues[name]} for name in inner}
    single = (
        {"phi": ["C_ace", "N", "CA", "C"], "psi": ["N", "CA", "C", "N_nme"]} if length == 1 and len(caps) == 2 else {}
    )
    order = [name for name in residues if name in caps or name in inner]

    def whole(table: dict) -> dict:
        return {name: (caps | table)[name] for name in order}

    found = [
        Grouping("core", "the backbone", whole(plain), dihedrals=single),
        Grouping("core_beta", "the backbone and the beta carbons", whole(beta), dihedrals=single),
    ]
    if length > 2:
        alpha = {name: {} if name in caps else {"CA": ["CA"]} for name in order}
        found.append(Grouping("c_alpha", "the alpha carbons", alpha, through=True))
    return found


def _chain(topology: Topology, residues: dict) -> list[Grouping]:
    """The longest chain of heavy atoms of a molecule of one residue, cut into equal parts; side groups go with their atom."""
    if len(residues) != 1:
        return []
    ((residue, names),) = residues.items()
    near, element = _bonded(topology, residue)
    heavy = networkx.Graph()
    heavy.add_nodes_from(n for n in names if element[n] != "H")
    heavy.add_edges_from((a, b) for a in heavy.nodes for b in near[a] if element[b] != "H")
    if len(heavy) < 4 or not networkx.is_tree(heavy):
        return []  # of rings there is no chain to cut
    chain = max((p for _, paths in networkx.all_pairs_shortest_path(heavy) for p in paths.values()), key=len)
    owner = {}
    for place, atom in enumerate(chain):
        cut = heavy.copy()
        cut.remove_edges_from(pairwise(chain))
        owner |= dict.fromkeys(networkx.node_connected_component(cut, atom), place)
    found = []
    for sites in range(2, min(MOST_SITES, len(chain) // 2 + 1) + 1):
        part = _equal_parts(len(chain), sites)
        beads = {f"S{k + 1}": [] for k in range(sites)}
        for name in names:
            anchor = name if name in heavy else near[name][0]
            beads[f"S{part[owner[anchor]] + 1}"].append(name)
        found.append(Grouping(f"sites_{sites}", f"{sites} parts of the chain", {residue: beads}, True))
    return found


def _equal_parts(n: int, k: int) -> np.ndarray:
    """(n,) part of each of n atoms in k parts, the same from either end, longer parts at the ends."""
    sizes = np.full(k, n // k)
    extra, ends = n % k, [*range((k + 1) // 2)]
    for place in ends:
        if extra >= 2 and place != k - 1 - place:
            sizes[[place, k - 1 - place]] += 1
            extra -= 2
    sizes[k // 2] += extra
    return np.repeat(np.arange(k), sizes)


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
