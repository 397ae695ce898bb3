"""What GROMACS reads: parameters of each stage as text made from a Protocol, and the topology of hexane.

Numbers are those of the study (see `protocol`). GROMACS enlarges rlist by its Verlet buffer where pairs need it.
"""

import math
from dataclasses import replace
from pathlib import Path

from ..frames import Topology
from .build import HEXANE_MOLECULES
from .opls import CHARGES, bonded_to, paths
from .protocol import Protocol, system

MELTING_K = 600.0
"""Hexane starts as a crystal; at this temperature it is gone in a few tens of ps."""

TYPES = {"CH3": "opls_135", "CH2": "opls_136", "H": "opls_140"}


def steps(length_ps: float, protocol: Protocol) -> int:
    """Steps of a stage."""
    return max(1, round(length_ps / protocol.dt_ps))


def minimisation(protocol: Protocol) -> str:
    """Steepest descent, until no force is larger than 500 kJ/mol/nm."""
    return _text(_interactions(protocol) | {"integrator": "steep", "emtol": 500, "emstep": 0.01, "nsteps": 5000})


def nvt(protocol: Protocol, seed: int, *, temperature_K: float | None = None, velocities: bool = True) -> str:
    """Equilibration in a box as it is; velocities: whether they are drawn anew."""
    temperature_K = temperature_K or protocol.temperature_K
    values = _dynamics(protocol, steps(protocol.equilibration_ps, protocol), seed, temperature_K)
    if velocities:
        values |= {"continuation": "no", "gen-vel": "yes", "gen-temp": temperature_K, "gen-seed": seed}
    return _text(values)


def npt(protocol: Protocol, seed: int) -> str:
    """Equilibration at 1 bar with stochastic cell rescaling; a hundred frames with velocities to choose a box from."""
    n_steps = steps(protocol.equilibration_ps, protocol)
    every = max(1, n_steps // 100)
    return _text(
        _dynamics(protocol, n_steps, seed, protocol.temperature_K)
        | _written("xout vout energy", every)
        | {"pcoupl": "C-rescale", "tau-p": 1.0, "ref-p": 1.0, "compressibility": 4.5e-5, "refcoord-scaling": "com"}
    )


def production(protocol: Protocol, seed: int, n_steps: int, first_step: int = 0) -> str:
    """NVT with positions, forces and energies every steps_per_frame, from first_step on the clock of the whole run."""
    return _text(
        _dynamics(protocol, n_steps, seed, protocol.temperature_K)
        | _written("xout fout energy", protocol.steps_per_frame)
        | {"init-step": first_step}
    )


def hexane_topology(topology: Topology) -> str:
    """topol.top of the liquid: OPLS-AA types and charges, three bonds excluded, RB dihedrals, all 1-4 pairs."""
    n = topology.n_atoms // HEXANE_MOLECULES
    neighbours = bonded_to(topology)[:n]
    bonds = topology.bonds[topology.bonds.max(axis=1) < n]
    angles, dihedrals = paths(replace(topology, bonds=bonds), neighbours)
    lines = ['#include "oplsaa.ff/forcefield.itp"', "[ moleculetype ]", "HEX 3", "[ atoms ]"]
    for atom in range(n):
        name, element, mass = topology.names[atom], topology.elements[atom], topology.mass[atom]
        hydrogens = sum(topology.elements[other] == "H" for other in neighbours[atom])
        kind = f"CH{hydrogens}" if element == "C" else "H"
        lines.append(f"{atom + 1} {TYPES[kind]} 1 HEX {name} 1 {CHARGES[kind]} {mass:.3f}")
    for title, rows, function in (
        ("bonds", bonds.tolist(), 1),
        ("pairs", [(path[0], path[-1]) for path in dihedrals], 1),  # no rings: each pair once
        ("angles", angles, 1),
        ("dihedrals", dihedrals, 3),
    ):
        lines.append(f"[ {title} ]")
        lines += [" ".join(str(atom + 1) for atom in row) + f" {function}" for row in rows]
    lines += ["[ system ]", "hexane", "[ molecules ]", f"HEX {HEXANE_MOLECULES}"]
    return "\n".join(lines) + "\n"


def read_mdp(path: Path) -> dict[str, str]:
    """What these functions wrote."""
    return dict(line.split(" = ") for line in path.read_text().splitlines())


def _interactions(protocol: Protocol) -> dict:
    """Cut-offs, PME (order 4) and corrections for dispersion beyond the cut-off."""
    cutoff = protocol.cutoff_nm
    return {
        "cutoff-scheme": "Verlet",
        "pbc": "xyz",
        "rlist": cutoff,
        "coulombtype": "PME",
        "rcoulomb": cutoff,
        "pme-order": 4,
        "fourierspacing": protocol.grid_nm,
        "vdwtype": "Cut-off",
        "rvdw": cutoff,
        "DispCorr": "EnerPres",
        "constraints": "none" if protocol.constraints == "none" else "h-bonds",
    }


def _dynamics(protocol: Protocol, n_steps: int, seed: int, temperature_K: float) -> dict:
    """Leap-frog with the thermostat of velocity rescaling, over groups as in the study."""
    groups = ["System"] if system(protocol.system).is_liquid else ["Protein", "Non-Protein"]
    return (
        _interactions(protocol)
        | {"integrator": "md", "dt": protocol.dt_ps, "nsteps": n_steps, "comm-mode": "Linear"}
        | {"tcoupl": "V-rescale", "tc-grps": " ".join(groups)}
        | {"tau-t": _each(protocol.tau_ps, groups), "ref-t": _each(temperature_K, groups), "ld-seed": seed}
        | {"continuation": "yes", "gen-vel": "no"}
        # The log is what progress is read from.
        | {"nstcalcenergy": 100, "nstlog": 100 * math.ceil(min(n_steps / 100, 10_000) / 100)}
        | {"nstxout": 0, "nstvout": 0, "nstfout": 0, "nstenergy": 1000}
    )


def _written(what: str, every: int) -> dict:
    """GROMACS moves an interval that is no multiple of nstcalcenergy, so this one is made to fit."""
    return {f"nst{kind}": every for kind in what.split()} | {"nstcalcenergy": math.gcd(every, 100)}


def _each(value, groups) -> str:
    return " ".join([f"{value:g}"] * len(groups))


def _text(values: dict) -> str:
    return "".join(
        f"{key} = {value:.10g}\n" if isinstance(value, float) else f"{key} = {value}\n" for key, value in values.items()
    )
