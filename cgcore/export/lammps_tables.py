"""Splines and priors as LAMMPS tables, and beads as its data file; units real (Å, kcal/mol, g/mol)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import molecules
from ..potentials import barrier, priors, splines
from ..units import KCAL
from .load import Source
from .potential import flat

ANGSTROM = 0.1
"""nm"""
POINTS, FINE = 5000, 20_000
"""In a file, and in what LAMMPS makes of that of a pair, whose points are even in r^2."""
NEAREST = 1e-3
"""nm at which tables of distances begin."""
LONGEST = 3.0
"""Times the longest bond of the frames, where its table ends."""


class Curve(NamedTuple):
    """One table. energy(q) kJ/mol of nm or rad up to `end`; members: (M, k) beads, of a pair the names of both species;
    all: whether a pair counts between bonded beads, too."""

    kind: str
    energy: Callable
    end: float
    members: np.ndarray | tuple[str, str]
    all: bool = False


def curves(source: Source) -> list[Curve] | None:
    """The tables that a potential is the sum of; None where one of its terms is none."""
    made = []
    for term, params in flat(source.potential, source.params):
        parts = term.model if isinstance(term.model, tuple) else (term.model,)
        for part in parts:
            if isinstance(part, splines.Spline):
                made.append(_spline(part, params[part.term.name], source.labels))
            elif isinstance(part, priors.Harmonic):
                made += _wells(part)
            elif isinstance(part, barrier.Barrier):
                made += _walls(part, source.labels)
            else:
                return None
    return made


def _spline(spline: splines.Spline, coefficients, labels) -> Curve:
    kind, members = spline.term.kind, spline.term.members
    end = {"bond": LONGEST * spline.knots[-1], "pair": spline.knots[-1]}.get(kind, np.pi)
    of = tuple(labels[bead] for bead in members[0]) if kind == "pair" else members
    return Curve(kind, partial(spline.energy, jnp.asarray(coefficients)), end, of)


def _wells(wells: priors.Harmonic) -> list[Curve]:
    """One table for all members with one spring and one rest."""
    kind, rows = wells.term.kind, np.stack([wells.k, wells.q0], axis=1)

    def energy(k, q0, q):
        apart = jnp.mod(q - q0 + np.pi, 2 * np.pi) - np.pi if kind == "dihedral" else q - q0
        return 0.5 * k * apart**2

    return [
        Curve(kind, partial(energy, k, q0), LONGEST * q0 if kind == "bond" else np.pi, wells.term.members[here])
        for k, q0 in np.unique(rows, axis=0)
        for here in [(rows == [k, q0]).all(1)]
    ]


def _walls(walls: barrier.Barrier, labels) -> list[Curve]:
    """A table for each two species, by the potential of one pair of them."""
    name_of = dict(zip(walls.species, labels, strict=True))
    made = []
    for a in sorted(name_of):
        for b in sorted(name_of):
            if a <= b and np.isfinite(reach := walls.ranges[a, b][np.isfinite(walls.ranges[a, b])]).any():
                pair = barrier.Barrier(species=(a, b), ranges=walls.ranges, stiffness=walls.stiffness, capacity=None)
                alone = barrier.build(pair).energy

                def energy(r, alone=alone):
                    at = jax.vmap(lambda d: alone({}, jnp.zeros((2, 3)).at[1, 0].set(d), jnp.full(3, jnp.inf)))
                    return at(r)

                made.append(Curve("pair", energy, float(reach.max()), (name_of[a], name_of[b]), all=True))
    return made


def table(curve: Curve, name: str) -> str:
    """A section of a table file."""
    angular = curve.kind in ("angle", "dihedral")
    unit = np.degrees(1.0) if angular else 1 / ANGSTROM
    first = {"angle": 0.0, "dihedral": -np.pi}.get(curve.kind, NEAREST)
    q = np.linspace(first, curve.end, POINTS, endpoint=curve.kind != "dihedral")
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: jnp.sum(curve.energy(x)))
        energy, force = (
            np.asarray(curve.energy(jnp.asarray(q))) / KCAL,
            -np.asarray(slope(jnp.asarray(q))) / KCAL / unit,
        )
    head = {"pair": f" R {q[0] * unit:.10g} {q[-1] * unit:.10g}", "dihedral": " DEGREES"}.get(curve.kind, "")
    lines = [
        f"{i + 1} {x:.10g} {u:.12g} {f:.12g}" for i, (x, u, f) in enumerate(zip(q * unit, energy, force, strict=True))
    ]
    return "\n".join([f"\n{name}", f"N {POINTS}{head}", "", *lines, ""])


def write(folder: Path, source: Source, made: list[Curve] | None) -> str:
    """Write beads.data and the tables; the lines of a script that reads them. None: no tables, and a style without forces."""
    types = sorted(set(_kinds(source)))
    bonded, lines = {}, []
    for kind in ("bond", "angle", "dihedral"):
        of_kind = [curve for curve in made or () if curve.kind == kind]
        bonded[kind] = [curve.members for curve in of_kind]
        if of_kind:
            text = "".join(table(curve, f"{kind}_{k}") for k, curve in enumerate(of_kind, 1))
            (folder / f"{kind}s.table").write_text(f"# {kind}s\n{text}", encoding="utf-8")
            lines.append(f"{kind}_style    table spline {POINTS}")
            lines += [f"{kind}_coeff    {k} {kind}s.table {kind}_{k}" for k in range(1, len(of_kind) + 1)]
    if made is None and len(source.molecule.bonds):
        bonded["bond"] = [source.molecule.bonds]
        lines += ["bond_style    zero", "bond_coeff    *"]
    lines += _pairs(folder, [curve for curve in made or () if curve.kind == "pair"], types)
    _data_file(folder / "beads.data", source, types, bonded)
    return "\n".join(lines)


def _pairs(folder: Path, of_pairs: list[Curve], types: list[tuple]) -> list[str]:
    """Pair styles: one for what leaves bonded beads out, one for what does not."""
    layers = [layer for every in (False, True) if (layer := [c for c in of_pairs if c.all == every])]
    if not layers:
        return ["pair_style    zero 10.0", "pair_coeff    * *"]
    lines, text = ["pair_style    hybrid/overlay" + f" table spline {FINE}" * len(layers)], ["# pairs\n"]
    for number, layer in enumerate(layers, 1):
        style, weight = ("table" if len(layers) == 1 else f"table {number}"), "1 1 1" if layer[0].all else "0 0 0"
        lines.append(f"pair_modify   pair {style} special lj/coul {weight}")
        for k, curve in enumerate(layer, 1):
            name = f"pair_{number}_{k}"
            text.append(table(curve, name))
            lines += [
                f"pair_coeff    {i} {j} {style} pairs.table {name} {curve.end / ANGSTROM:.10g}"
                for i, (a, _) in enumerate(types, 1)
                for j, (b, _) in enumerate(types, 1)
                if i <= j and {a, b} == set(curve.members)
            ]
    (folder / "pairs.table").write_text("".join(text), encoding="utf-8")
    set_here = {tuple(line.split()[1:3]) for line in lines if line.startswith("pair_coeff")}
    n = range(1, len(types) + 1)
    lines += [f"pair_coeff    {i} {j} none" for i in n for j in n if i <= j and (str(i), str(j)) not in set_here]
    return lines


def _data_file(path: Path, source: Source, types: list[tuple], bonded: dict[str, list[np.ndarray]]):
    beads, start = source.molecule, source.start[0] / ANGSTROM
    low, high = (np.zeros(3), beads.box / ANGSTROM) if beads.liquid else (start.min(0) - 20, start.max(0) + 20)
    groups = {kind: groups for kind, groups in bonded.items() if groups}
    text = [f"{len(start)} atoms", f"{len(types)} atom types"]
    for kind, members in groups.items():
        text += [f"{sum(map(len, members))} {kind}s", f"{len(members)} {kind} types"]
    text += [f"{a:.10g} {b:.10g} {x}lo {x}hi" for x, a, b in zip("xyz", low, high, strict=True)]
    text += ["", "Masses", "", *(f"{k} {mass:.10g} # {label}" for k, (label, mass) in enumerate(types, 1))]
    molecule = molecules(beads.bonds, len(start)) + 1
    kinds = _kinds(source)
    text += ["", "Atoms # molecular", ""]
    for k, (kind, of, x) in enumerate(zip(kinds, molecule, start, strict=True), 1):
        text.append(f"{k} {of} {types.index(kind) + 1} {x[0]:.10f} {x[1]:.10f} {x[2]:.10f}")
    for kind, members in groups.items():
        text += ["", f"{kind.capitalize()}s", ""]
        rows = [(number, row) for number, group in enumerate(members, 1) for row in group]
        text += [" ".join(map(str, (k, number, *(row + 1)))) for k, (number, row) in enumerate(rows, 1)]
    path.write_text("# beads, by cgcore\n\n" + "\n".join(text) + "\n", encoding="utf-8")


def _kinds(source: Source) -> list[tuple[str, float]]:
    """Species and mass of each bead, which make its type."""
    return [(label, round(float(mass), 6)) for label, mass in zip(source.labels, source.molecule.mass, strict=True)]
