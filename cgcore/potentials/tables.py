"""Potentials as tables of the coordinate, and as files of GROMACS and VOTCA."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .splines import Spline
from .terms import KINDS

POINTS = 10
"""Points of a table in each knot interval."""


class Table(NamedTuple):
    """One term over P points x, in nm or rad: energies kJ/mol and forces F = -dU/dx, kJ/mol per nm or rad.

    Energies are relative to the cut-off (pairs) or to the most sampled knot; errors are standard errors or zero.
    """

    kind: str
    x: np.ndarray
    energy: np.ndarray
    energy_error: np.ndarray
    force: np.ndarray
    force_error: np.ndarray


def points(spline: Spline, per_interval: int = POINTS) -> np.ndarray:
    """(P,) from the first knot to the last, every knot among them."""
    knots = spline.knots
    return np.linspace(knots[0], knots[-1], per_interval * (len(knots) - 1) + 1)


def tabulate(spline: Spline, coefficients: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces (P,) at x between the knots, in float64 and without JAX."""
    energy = spline.basis(x) @ coefficients
    if spline.term.kind != "pair":
        energy = energy - spline.basis(spline.knots[np.argmax(spline.counts)]) @ coefficients
    return energy, -spline.basis(x, 1) @ coefficients


def extended(spline: Spline, coefficients: np.ndarray, x: np.ndarray) -> Table:
    """The table at any x, by the continuation that the potential has beyond its knots; without errors."""
    both = jax.jit(jax.vmap(jax.value_and_grad(spline.energy, argnums=1), (None, 0)))
    u, slope = both(jnp.asarray(coefficients), jnp.asarray(x))
    zero = np.zeros(len(x))
    return Table(spline.term.kind, np.asarray(x), np.asarray(u), zero, -np.asarray(slope), zero)


def write_xvg(path, table: Table):
    """A table that GROMACS reads: mdrun -tableb for bonded terms, -table for pairs (energies in the repulsive columns).

    Bonded: x, U, F = -dU/dx in nm and kJ/mol/nm, or degrees and kJ/mol/degree. Pairs: r, f, -f', g, -g', h, -h' with the
    Coulomb and dispersion columns zero, so that C6 = 0, C12 = 1 gives h = U. GROMACS wants equal spacing from r = 0, or
    angles from 0 to 180 and dihedrals from -180 to 180 degrees: see `extended`.
    """
    angular = KINDS[table.kind].unit == "rad"
    x, f = (np.degrees(table.x), np.radians(table.force)) if angular else (table.x, table.force)
    unit = "degree" if angular else "nm"
    zero = np.zeros(len(x))
    columns = [x, zero, zero, zero, zero, table.energy, f] if table.kind == "pair" else [x, table.energy, f]
    head = f"# {table.kind}: x ({unit}), ..., U (kJ/mol), F = -dU/dx (kJ/mol/{unit})\n"
    lines = (" ".join(f"{v:.10e}" for v in row) for row in np.stack(columns, axis=1))
    Path(path).write_text(head + "\n".join(lines) + "\n")


def write_votca(path, table: Table):
    """A table of VOTCA: x, energy or force, error and the flag i, in nm or rad; .pot takes U, .force takes F."""
    columns = {".pot": (table.energy, table.energy_error), ".force": (table.force, table.force_error)}
    path = Path(path)
    if path.suffix not in columns:
        raise ValueError(f"{path}: want a file that ends in .pot or .force, got {path.suffix or 'no ending'!r}")
    unit, what = KINDS[table.kind].unit, {".pot": "U (kJ/mol)", ".force": "F = -dU/dx (kJ/mol/{})"}[path.suffix]
    rows = zip(table.x, *columns[path.suffix], strict=True)
    lines = (f"{x:.10e} {y:.10e} {error:.10e} i" for x, y, error in rows)
    path.write_text(f"# {table.kind}: x ({unit}), {what.format(unit)}, error\n" + "\n".join(lines) + "\n")
