"""Small liquids of hexane: a GROMACS topology, and random frames of beads."""

import numpy as np

from cgcore.frames import Frames
from cgcore.mapping import Mapping

CARBONS = (1, 5, 8, 11, 14, 17)


def top(molecules: int) -> str:
    """A GROMACS topology as the reference has it: C1 H2 H3 H4 C5 ..., atoms counted along the chain."""
    atoms, bonds, carbon = [], [], 0
    for i in range(1, 21):
        mass, kind = (12.011, "C") if i in CARBONS else (1.008, "H")
        atoms.append(f"{i} opls_{'135' if kind == 'C' else '140'} 1 HEX {kind}{i} 1 0.0 {mass}")
        if carbon:
            bonds.append(f"{carbon} {i} 1")
        carbon = i if kind == "C" else carbon
    return "\n".join(
        ['#include "oplsaa.ff/forcefield.itp" ; types', "[ moleculetype ]", "HEX 3", "[ atoms ]", *atoms]
        + ["[ bonds ]", *bonds, "[ system ]", "hexane", "[ molecules ]", f"HEX {molecules}", ""]
    )


def liquid(mapping: Mapping, n_frames: int, box_nm: float, seed: int = 0) -> Frames:
    """Frames (T, N, 3) without forces: chains of bonds 0.15 nm, angles 2 rad and any dihedral, at random in the box."""
    random = np.random.default_rng(seed)
    k = np.count_nonzero([name.endswith("_1") for name in mapping.beads])
    m = len(mapping.beads) // k
    shape = (n_frames, m)
    turn = np.linalg.qr(random.normal(size=(*shape, 3, 3)))[0]
    chain, direction, normal = [random.uniform(0, box_nm, (*shape, 3))], turn[..., 0], turn[..., 1]
    for _ in range(k - 1):
        step = 0.15 + 0.004 * random.normal(size=shape)
        chain.append(chain[-1] + step[..., None] * direction)
        bend, roll = np.pi - 2.0 + 0.08 * random.normal(size=shape), random.uniform(-np.pi, np.pi, shape)
        side = np.cross(direction, normal)
        normal = np.cos(roll)[..., None] * normal + np.sin(roll)[..., None] * side
        direction, normal = (
            np.cos(bend)[..., None] * direction + np.sin(bend)[..., None] * normal,
            np.cos(bend)[..., None] * normal - np.sin(bend)[..., None] * direction,
        )
    return Frames(
        position=np.stack(chain, axis=2).reshape(n_frames, -1, 3),
        force=None,
        box=np.full(3, box_nm),
        time=np.arange(n_frames) * 1.0,
        names=mapping.beads,
    )
