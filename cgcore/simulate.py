"""Langevin dynamics of many replicas of one molecule or liquid at once, on JAX-MD's integrator, resumable.

dp = F dt - gamma p dt + sqrt(2 gamma m kT) dW in the BAOAB splitting (Leimkuhler & Matthews 2013), one force evaluation
a step. Frames go to the host after every chunk of steps, into arrays on disk; the state follows, so that a killed run
goes on from its last chunk and is the same as an unbroken one.
"""

import time
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax_md import simulate as jax_md_simulate
from jax_md import space
from tqdm import tqdm

from .analysis.stability import bond_deviation, thermal_energy
from .config import MDConfig
from .frames import Ensemble, Status
from .potentials.base import Potential
from .store import Run, read_npz, write_npz
from .units import kT, ns_per_day

STATE = "state.npz"
FRAMES_PER_CHUNK = 4


class SimulationError(RuntimeError):
    """A simulation that cannot begin or be used, with what was wanted and what was found."""


@dataclass(frozen=True, kw_only=True)
class Molecule:
    """What a simulation knows of its N beads besides the potential.

    mass: (N,) g/mol; bonds: (P, 2) and their reference lengths (P,) nm serve the status of a molecule only;
    box: (3,) nm of a liquid, inf where not periodic.
    """

    names: tuple[str, ...]
    mass: np.ndarray
    bonds: np.ndarray
    bond_length: np.ndarray
    box: np.ndarray = field(default_factory=lambda: np.full(3, np.inf))

    @property
    def liquid(self) -> bool:
        return bool(np.isfinite(self.box).any())


def run(
    potential: Potential,
    params,
    molecule: Molecule,
    starts: Array,
    config: MDConfig,
    folder: Run,
    *,
    progress: bool = True,
) -> tuple[Ensemble, dict]:
    """Simulate config.replicas replicas from `starts` (C, N, 3) nm; the ensemble and its small table.

    A replica fails when it is not finite, when the potential says that it has no energy for a frame, and by the study's
    criteria: a molecule's when a bond is further than config.bond_tolerance_nm from its reference length, a liquid's
    when its thermal energy 2 <K> / 3N reaches config.thermal_limit_kJ_mol. It runs on, but its frames from then on do not
    count. Positions of a liquid are not wrapped, so that its molecules stay whole.
    Raises SimulationError for starts that do not fit the configuration or are not finite, and for a liquid's
    potential without a box.
    """
    starts = jnp.asarray(starts)
    _check(potential, starts, molecule, config)
    init, chunk = _simulator(potential, molecule, starts.dtype, config)
    frames = _open_frames(folder, starts.shape, config)
    state, done, seconds = _resume(folder, init, params, starts, config)
    if done:
        words = "done" if done == config.n_frames else f"going on after {done} of {config.n_frames} frames"
        tqdm.write(f"{folder.folder}: {words}")
    failed = _bits(frames, slice(0, done), molecule, config).any(1)
    with tqdm(total=config.n_frames, initial=done, unit="frame", desc="simulate", disable=not progress) as bar:
        while done < config.n_frames:
            n = min(FRAMES_PER_CHUNK, config.n_frames - done)
            start = time.perf_counter()
            state, new = chunk(params, state, n)
            for name, values in zip(frames, new, strict=True):
                frames[name][:, done : done + n] = np.moveaxis(np.asarray(values), 0, 1)
                frames[name].flush()
            seconds = np.append(seconds, (time.perf_counter() - start) / n)
            failed |= _bits(frames, slice(done, done + n), molecule, config).any(1)
            done += n
            _save(folder, state, done, seconds)
            rate = ns_per_day(config.frame_ps * config.replicas, float(np.median(seconds)))
            bar.set_postfix({"ns/day in all": f"{rate:.0f}", "failed": int(failed.sum())})
            bar.update(n)
    ensemble = _ensemble(frames, molecule, config)
    return ensemble, table(ensemble, config, seconds)


def table(ensemble: Ensemble, config: MDConfig, seconds_per_frame: np.ndarray) -> dict:
    """The small numbers of a manifest; the kinetic temperature 2 <K> / (3 N k_B) is over frames that count."""
    valid, n_beads = ensemble.valid, ensemble.position.shape[2]
    counted = int(valid.sum())
    kinetic = float(np.mean(ensemble.kinetic[valid])) if counted else float("nan")
    rate = ns_per_day(config.frame_ps * config.replicas, float(np.median(seconds_per_frame)))
    out = {
        "replicas": config.replicas,
        "length_ps": config.length_ps,
        "ns": counted * config.frame_ps / 1000,
        "n_frames": counted,
        "n_frames_excluded": int(valid.size - counted),
        "n_replicas_failed": ensemble.n_failed,
    }
    out |= {f"n_{bit.name.lower()}": int(np.count_nonzero(ensemble.status & bit)) for bit in Status}
    return out | {
        "temperature_K": float(thermal_energy(kinetic, n_beads)) / kT(1.0),
        "ns_per_day_aggregate": rate,
        "ns_per_day_per_replica": rate / config.replicas,
        "steps_per_s": config.steps_per_frame / float(np.median(seconds_per_frame)),
        "wall_s": float(np.sum(seconds_per_frame) * config.n_frames / len(seconds_per_frame)),
    }


def require_ok(ensemble: Ensemble) -> Ensemble:
    """The ensemble, or SimulationError naming the first replica that failed, how, and when."""
    if (bad := np.flatnonzero(ensemble.status)).size:
        c = bad[0]
        when = ensemble.time[min(ensemble.first_bad[c], len(ensemble.time) - 1)]
        raise SimulationError(
            f"{bad.size} of {len(ensemble.status)} replicas failed; replica {c}: "
            f"{Status(int(ensemble.status[c])).name} by {when:g} ps"
        )
    return ensemble


def _check(potential: Potential, starts: Array, molecule: Molecule, config: MDConfig):
    if starts.ndim != 3 or starts.shape[2] != 3 or starts.shape[0] != config.replicas:
        raise SimulationError(f"starts: want ({config.replicas}, N, 3), got {starts.shape}")
    if np.shape(molecule.mass) != (len(molecule.names),) or starts.shape[1] != len(molecule.names):
        raise SimulationError(
            f"want one name, mass and position a bead, got {len(molecule.names)} names, masses of shape "
            f"{np.shape(molecule.mass)} and starts of shape {starts.shape}"
        )
    if not np.isfinite(starts).all():
        raise SimulationError("starts: some positions are not finite")
    if potential.periodic and not molecule.liquid:
        raise SimulationError("the potential is of a liquid: want a molecule with its box, got none")


def _simulator(potential: Potential, molecule: Molecule, dtype, config: MDConfig):
    """init(params, keys, starts) -> state and chunk(params, state, n) -> state, frames (see `_open_frames`)."""
    mass, box = jnp.asarray(molecule.mass, dtype), jnp.asarray(molecule.box, dtype)
    _, shift = space.free()

    def integrator(params):
        return jax_md_simulate.nvt_langevin(
            lambda position: potential.energy(params, position, box),
            shift,
            dt=config.dt_ps,
            kT=kT(config.temperature_K),
            gamma=config.friction_per_ps,
        )

    @jax.jit
    def init(params, keys, starts):
        return jax.vmap(lambda key, x: integrator(params)[0](key, x, mass=mass))(keys, starts)

    def frame(params, state):
        step = jax.vmap(integrator(params)[1])
        state = jax.lax.fori_loop(0, config.steps_per_frame, lambda _, s: step(s), state)
        energy = jax.vmap(lambda x: potential.energy(params, x, box))(state.position)
        check = jax.vmap(lambda x: jnp.asarray(potential.check(x, box), jnp.int32))(state.position)
        kinetic = 0.5 * jnp.sum(state.momentum**2 / mass[:, None], axis=(1, 2))
        return state, (state.position, energy, kinetic, check)

    @partial(jax.jit, static_argnums=2)
    def chunk(params, state, n):
        return jax.lax.scan(lambda s, _: frame(params, s), state, None, length=n)

    return init, chunk


def _open_frames(folder: Run, shape: tuple, config: MDConfig) -> dict[str, np.memmap]:
    """Arrays on disk, chain by chain: position (C, T, N, 3), energy, kinetic and the potential's check (C, T)."""
    chains, beads, _ = shape
    shapes = {"position": (chains, config.n_frames, beads, 3)}
    shapes |= dict.fromkeys(("energy", "kinetic", "check"), (chains, config.n_frames))
    arrays = {}
    for name, wanted in shapes.items():
        dtype = np.int32 if name == "check" else np.float32
        path = folder.path(f"{name}.npy")
        mode = "r+" if path.is_file() else "w+"
        arrays[name] = np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=wanted)
        if arrays[name].shape != wanted:
            raise SimulationError(f"{path}: want shape {wanted}, found {arrays[name].shape}; remove the folder")
    return arrays


def _resume(folder: Run, init, params, starts: Array, config: MDConfig):
    """The state after the last whole chunk, frames done and seconds a frame of each chunk; or the start."""
    keys = jax.random.split(jax.random.key(config.seed), config.replicas)
    state = init(params, keys, starts)
    if not folder.path(STATE).is_file():
        return state, 0, np.zeros(0)
    saved = read_npz(folder.path(STATE))
    state = state.set(
        position=jnp.asarray(saved["position"]),
        momentum=jnp.asarray(saved["momentum"]),
        force=jnp.asarray(saved["force"]),
        rng=jax.random.wrap_key_data(jnp.asarray(saved["rng"])),
    )
    return state, int(saved["done"]), saved["seconds"]


def _save(folder: Run, state, done: int, seconds: np.ndarray):
    arrays = {"position": state.position, "momentum": state.momentum, "force": state.force}
    rng = jax.random.key_data(state.rng)
    write_npz(folder.path(STATE), **arrays, rng=rng, done=np.array(done), seconds=seconds)


def _bits(frames: dict, part: slice, molecule: Molecule, config: MDConfig) -> np.ndarray:
    """(C, T) Status bits of each of these frames."""
    position, kinetic = frames["position"][:, part], frames["kinetic"][:, part]
    finite = np.isfinite(position).all((2, 3))
    if molecule.liquid:
        hot = ~(thermal_energy(kinetic, position.shape[2]) < config.thermal_limit_kJ_mol)
        failed = np.where(finite & hot, Status.OVERHEATED, Status.OK)
    else:
        deviation = bond_deviation(position, molecule.bonds, molecule.bond_length)
        failed = np.where(finite & (deviation > config.bond_tolerance_nm), Status.BOND_BROKEN, Status.OK)
    return failed | np.where(finite, Status.OK, Status.NONFINITE) | frames["check"][:, part]


def _ensemble(frames: dict, molecule: Molecule, config: MDConfig) -> Ensemble:
    bits = _bits(frames, slice(None), molecule, config)
    return Ensemble(
        position=np.asarray(frames["position"]),
        energy=np.asarray(frames["energy"]),
        kinetic=np.asarray(frames["kinetic"]),
        time=config.frame_ps * np.arange(1, config.n_frames + 1),
        status=np.bitwise_or.reduce(bits, axis=1),
        first_bad=np.where(bits.any(1), (bits != 0).argmax(1), config.n_frames),
        names=molecule.names,
    )
