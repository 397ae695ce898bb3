"""A bias along one dihedral of the reference, which stands still while frames are kept.

OpenMM's well-tempered metadynamics (Barducci, Bussi & Parrinello, Phys. Rev. Lett. 100, 020603, 2008,
doi:10.1103/PhysRevLett.100.020603) raises V(s) until the valleys of s are nearly filled; then V no longer changes. Frames are
those of the canonical ensemble of u + V, so that each counts exp(V / kT), without any error of the way V was made; their
forces are kept without those of V. Every replica makes its own V: replicas are independent.
"""

import math
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import openmm as mm
from openmm import app, unit

from ..config import ConfigError, did_you_mean
from ..frames import Topology
from ..store.files import replacing
from ..units import PS_PER_NS
from .errors import ReferenceRunError
from .protocol import BiasConfig

BACKBONE = {"phi": (("C", -1), ("N", 0), ("CA", 0), ("C", 0)), "psi": (("N", 0), ("CA", 0), ("C", 0), ("N", 1))}
GROUP = 1
"""Force group of the bias; that of all other forces is 0."""
HEADER = "angle_rad,bias_kJ_per_mol\n"


def atoms(dihedral: str, topology: Topology) -> tuple[int, int, int, int]:
    """The four atoms of a dihedral by its name. Raises ConfigError for one that is not there, or not one alone."""
    kind = dihedral.partition("-")[0]
    if kind not in BACKBONE:
        return _named(dihedral, [topology.atom(a) for a in range(topology.n_atoms)])
    at = {(r, n): a for a, (r, n) in enumerate(zip(topology.residue_index, topology.names, strict=True))}
    found = {
        f"{kind}-{r + 1}": tuple(at[r + step, name] for name, step in BACKBONE[kind])
        for r in sorted(set(topology.residue_index))
        if all((r + step, name) in at for name, step in BACKBONE[kind])
    }
    chosen = [four for name, four in found.items() if dihedral in (kind, name)]
    if len(chosen) != 1:
        raise ConfigError(
            f"bias: want one dihedral, {' or '.join(found) or 'which this system has none of'}, got {dihedral!r}"
        )
    return chosen[0]


def _named(dihedral: str, labels: list[str]) -> tuple[int, int, int, int]:
    names = dihedral.split()
    missing = [name for name in names if name not in labels]
    if missing or not len(set(names)) == len(names) == 4:
        hint = did_you_mean(missing[0], labels) if missing else ""
        raise ConfigError(
            f"bias: want phi, psi, phi-2 or four different atoms such as {' '.join(labels[:4])!r}, got {dihedral!r}{hint}"
        )
    return tuple(labels.index(name) for name in names)


def metadynamics(
    config: BiasConfig,
    four: tuple[int, int, int, int],
    system: mm.System,
    state: mm.State,
    integrator: mm.Integrator,
    platform: tuple[mm.Platform, dict],
    *,
    report: Callable[[float], None],
    stop: Event,
) -> tuple[np.ndarray, mm.State] | None:
    """Make the bias from a state on.

    Args:
        integrator: fresh, at the temperature of the run.
        report: called with the ps done.

    Returns:
        The bias (bins + 1,) kJ/mol from -pi to pi, and the state at the end; None when stopped before.
    """
    temperature, dt = integrator.getTemperature(), integrator.getStepSize().value_in_unit(unit.picosecond)
    angle = mm.CustomTorsionForce("theta")
    angle.addTorsion(*four)
    variable = app.BiasVariable(angle, -math.pi, math.pi, config.width, True, config.bins + 1)
    pace = max(1, round(config.pace_ps / dt))
    built = mm.XmlSerializer.clone(system)
    hills = app.Metadynamics(
        built, [variable], temperature, config.bias_factor, config.height_kJ_mol * unit.kilojoule_per_mole, pace
    )
    simulation = app.Simulation(app.Topology(), built, integrator, *platform)
    simulation.context.setState(state)
    for hill in range(max(1, round(config.length_ns * PS_PER_NS / (pace * dt)))):
        if stop.is_set():
            return None
        hills.step(simulation, pace)
        report((hill + 1) * pace * dt)
    V = -(1 - 1 / config.bias_factor) * hills.getFreeEnergy().value_in_unit(unit.kilojoule_per_mole)
    V[-1] = V[0]
    return V - V.min(), simulation.context.getState(positions=True, velocities=True)


def add(system: mm.System, four: tuple[int, int, int, int], V: np.ndarray):
    """Add a bias (bins + 1,) kJ/mol to a system, in the group GROUP."""
    force = mm.CustomCompoundBondForce(4, "bias(dihedral(p1, p2, p3, p4))")  # of a torsion force there are no tables
    force.addTabulatedFunction("bias", mm.Continuous1DFunction(V, -math.pi, math.pi, True))
    force.addBond(four)
    force.setForceGroup(GROUP)
    system.addForce(force)


def write(path: Path, V: np.ndarray):
    """Write a bias as angles and energies."""
    rows = zip(np.linspace(-math.pi, math.pi, len(V)), V, strict=True)
    with replacing(path) as file:
        file.write((HEADER + "".join(f"{s:.10g},{v:.10g}\n" for s, v in rows)).encode())


def read(path: Path, config: BiasConfig) -> np.ndarray:
    """Read a bias. Raises ReferenceRunError where it is missing or not the whole table of its configuration."""
    try:
        V = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[:, 1]
    except (OSError, ValueError, IndexError) as error:
        raise ReferenceRunError(
            f"{path}: want the bias of this replica, found none that can be read ({error})"
        ) from error
    if len(V) != config.bins + 1 or not np.isfinite(V).all():
        raise ReferenceRunError(f"{path}: want a bias at {config.bins + 1} angles, found {len(V)}; cut or edited")
    return V
