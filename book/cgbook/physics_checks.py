"""Checks of frames against statistical mechanics, as tables: deviations in standard errors (sigma), and p-values.

Ensembles and kinetic energies by the package physical-validation (Merz and Shirts, PLoS ONE 13, e0202764, 2018), which
only development installs.
"""

import logging
from collections.abc import Callable

import jax
import numpy as np
from scipy import stats
from scipy.spatial.transform import Rotation

from cgcore.analysis.blocks import Estimate, inefficiency, row
from cgcore.errors import CgcoreError
from cgcore.geometry import molecules
from cgcore.potentials.base import Potential, force
from cgcore.units import KB, kT

IMAGES = 8
"""Of each frame under each symmetry, drawn at random."""


def configurational(energies: list[np.ndarray], temperatures_K: tuple[float, float]) -> dict:
    """Whether energies (C, T) at two temperatures have the ratio exp(-(b2 - b1) U) of distributions; b = 1 / kT.

    Table: ensemble_sigma, how far the slope of the ratio's logarithm is off, None for too few frames;
    independent, frames behind the poorer of both.
    """
    thinned = [u[:, :: int(np.ceil(inefficiency(u)))].ravel() for u in energies]
    both = [_observed(t, potential_energy=u) for t, u in zip(temperatures_K, thinned, strict=True)]
    checks, independent = _validation(), {"independent": min(map(len, thinned))}
    try:
        (sigma,) = checks.ensemble.check(*both, verbosity=0, data_is_uncorrelated=True)
    except checks.util.error.InputError:  # less than three bins of a histogram that both temperatures have
        return {"ensemble_sigma": None} | independent
    return {"ensemble_sigma": float(sigma)} | independent


def kinetic(
    position: np.ndarray, velocity: np.ndarray, mass: np.ndarray, bonds: np.ndarray, temperature_K: float
) -> dict:
    """Whether independent velocities (T, N, 3) nm/ps are Maxwell's, in all and part by part.

    Table: small_step_K, their temperature; kinetic_mean_sigma, kinetic_width_sigma of the kinetic energy; beads_p: that
    each bead has its share along each axis; motions_p: that translation, rotation and inner motion of molecules have
    theirs, the least of three p-values times three; without it for molecules of two beads, which have two axes to turn
    about.
    """
    share = mass[:, None] * velocity**2 / kT(temperature_K)
    first = np.unique(molecules(bonds, len(mass)), return_index=True)[1]
    known = dict(mass=mass, molecule_idx=first, position=position, velocity=velocity)
    data = _observed(temperature_K, kinetic_energy=share.sum((1, 2)) * kT(temperature_K) / 2, **known)
    checks = _validation().kinetic_energy
    mean, width = checks.distribution(data, verbosity=0, bootstrap_seed=0, data_is_uncorrelated=True)
    # each share's sum over T frames is chi-squared with T degrees of freedom
    z = stats.norm.isf(stats.chi2.sf(share.sum(0), len(share)))
    kelvin = temperature_K * share.mean((1, 2))
    table = row("small_step_K", Estimate(float(kelvin.mean()), float(kelvin.std() / np.sqrt(kelvin.size))))
    table |= {"kinetic_mean_sigma": float(mean), "kinetic_width_sigma": float(width)}
    table |= {"beads_p": float(stats.chi2.sf((z**2).sum(), z.size))}
    if np.diff([*first, len(mass)]).min() > 2:
        _, moved, _, turned, inner = checks.equipartition(data, strict=True, verbosity=0, data_is_uncorrelated=True)
        table |= {"motions_p": float(min(1.0, 3 * min(moved, turned, inner)))}
    return table


def energy_order(totals: list[np.ndarray], dt_ps: list[float]) -> dict:
    """The power of the time step in which total energies (C, T) at constant energy fluctuate: 2 for velocity Verlet.

    Table: energy_order, the slope of log rms against log dt with its error over replicas; energy_rms_kJ_mol at the first step.
    """
    rms = np.array([(e - e.mean(1, keepdims=True)).std(1) for e in totals])  # (steps, C)
    order = np.polyfit(np.log(dt_ps), np.log(rms), 1)[0]
    error = float(order.std(ddof=1) / np.sqrt(order.size)) if order.size > 1 else None
    return row("energy_order", Estimate(float(order.mean()), error)) | {"energy_rms_kJ_mol": float(rms[0].mean())}


def symmetries(double: Callable, single: Callable, frames: np.ndarray, species, told, liquid: bool) -> dict:
    """Whether images of frames (T, N, 3) nm have the energies and forces of the frames.

    Args:
        double, single: position (N, 3) nm -> energy, forces (N, 3), of the model and of what simulates in its stead.
        told: (P, 2) bonds of a network that is told of them, and has whole molecules exchanged, not beads; else None.
        liquid: turned by right angles only, since it has a box.

    Table of rotation, translation, permutation of equals if there are any, and mirror: the largest difference of forces in
    double precision, over their rms; and with _p the probability that energies of what simulates differ by rounding, which
    goes up as often as down.
    """
    species, n, random = np.asarray(species), len(species), np.random.default_rng(0)
    same, none, still = np.arange(n), np.eye(3), np.zeros(3)
    turns = (Rotation.create_group("O") if liquid else Rotation.random(24, random)).as_matrix()

    def exchanged() -> np.ndarray:
        if told is not None:
            whole = molecules(told, n)
            return np.argsort(random.permutation(n)[whole], kind="stable")
        order = same.copy()
        order[np.argsort(species, kind="stable")] = np.lexsort((random.random(n), species))
        return order

    images = {
        "rotation": lambda: (same, random.choice(turns), still),
        "translation": lambda: (same, none, random.uniform(-1, 1, 3)),
        "permutation": lambda: (exchanged(), none, still),
        "mirror": lambda: (same, -random.choice(turns), still),
    }
    table = {}
    for name, draw in images.items():
        if name == "permutation" and len(set(species.tolist())) == n:
            continue  # no two are equal
        off, up, different = [], 0, 0
        for frame in np.repeat(frames.astype(float), IMAGES, axis=0):
            # turned and shifted anew, so that its own rounding is drawn anew too
            frame = frame @ random.choice(turns).T + random.uniform(-1, 1, 3)
            order, turn, shift = draw()
            image = frame[order] @ turn.T + shift
            f, g = double(frame)[1][order] @ turn.T, double(image)[1]
            off.append(np.abs(f - g).max() / np.sqrt(np.mean(f**2)))
            change = single(image)[0] - single(frame)[0]
            up, different = up + int(change > 0), different + int(change != 0)
        table |= {
            name: float(max(off)),
            f"{name}_p": float(stats.binomtest(up, different).pvalue) if different else 1.0,
        }
    return table


def on_frames(potential: Potential, params, box: np.ndarray) -> Callable:
    """The function of a frame (N, 3) nm that gives its energy and forces, in the precision of the box."""
    both = jax.jit(lambda x: (potential.energy(params, x, box), force(potential, params, x, box)))
    return lambda x: tuple(np.asarray(a, float) for a in both(x.astype(box.dtype)))


def _validation():
    logging.getLogger("pymbar").setLevel(logging.ERROR)  # it greets, and speaks of JAX, which is not used here
    try:
        import physical_validation
    except ImportError as error:
        raise CgcoreError(
            "the checks want physical-validation, which is not installed; `uv sync`, or pip install it"
        ) from error
    return physical_validation


def _observed(temperature_K: float, mass=(1.0,), molecule_idx=(0,), position=None, velocity=None, **energies):
    """Energies, and where given positions and velocities, as physical-validation has them."""
    of, n = _validation().data, len(mass)
    units = of.UnitData(KB, *[1.0] * 6)  # kJ/mol, nm, nm^3, K, bar, ps
    free = dict(nconstraints=0, ndof_reduction_tra=0, ndof_reduction_rot=0)
    system = of.SystemData(
        natoms=n, mass=mass, molecule_idx=molecule_idx, nconstraints_per_molecule=np.zeros(len(molecule_idx)), **free
    )
    frames = None if position is None else of.TrajectoryData(position, velocity)
    ensemble = of.EnsembleData("NVT", natoms=n, volume=1.0, temperature=temperature_K)
    observed = of.ObservableData(**energies)
    return of.SimulationData(units=units, system=system, ensemble=ensemble, observables=observed, trajectory=frames)
