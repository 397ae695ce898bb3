"""One replica by OpenMM: equilibrated, simulated frame by frame, checkpointed by the clock."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import openmm as mm
from openmm import unit

from ..geometry import molecules
from ..io import trr_frame
from ..processes import cores
from ..units import KB
from . import bias
from .build import GAP_NM
from .errors import ReferenceRunError
from .output import Recorder
from .protocol import Protocol
from .system import Plan, Prepared, prepare, solute_constraints

CHECKPOINT_S = 30.0
"""Wall time between checkpoints: what a killed run loses at most."""

SMALL = 60
"""Atoms up to which OpenMM's Reference platform beats its CPU platform, which pays for starting threads each step."""

MELT_K = 600.0
CLOSER, CLOSER_STEPS, CLOSER_ITERATIONS = 0.95, 50, 100
"""How much a loose liquid shrinks at once, and the steps and iterations of a minimisation after each time."""
NPT_BAR = 1.0
NPT_SAMPLES = 100


def plan(protocol: Protocol, device: str) -> Plan:
    """Say what will run where.

    Raises ConfigError for a box too small for the cut-off or a dihedral that is not there, ReferenceRunError for a GPU that is not there.
    """
    prepared = prepare(protocol, 0)
    if protocol.bias:
        bias.atoms(protocol.bias.dihedral, prepared.structure.topology)  # refused here, before anything runs
    name = platform(device, prepared.system.getNumParticles(), protocol.periodic)
    jobs = 1 if name == "CUDA" else cores()
    return Plan(prepared.structure, solute_constraints(prepared), name, jobs, {"openmm": version()})


def platform(device: str, n_atoms: int, periodic: bool) -> str:
    """Name the OpenMM platform of a device, "cpu", "cuda" or "auto".

    Raises ReferenceRunError for a GPU that is not there.
    """
    there = {mm.Platform.getPlatform(k).getName() for k in range(mm.Platform.getNumPlatforms())}
    if device not in ("auto", "cpu", "cuda"):
        raise ReferenceRunError(f"device: want auto, cpu or cuda, got {device!r}")
    if device == "cuda" and "CUDA" not in there:
        raise ReferenceRunError(
            f"a GPU was asked for, OpenMM has only {sorted(there)} here; want the wheels `openmm[cuda12]` and a "
            "driver, or --device cpu"
        )
    if device != "cpu" and "CUDA" in there:
        return "CUDA"
    return "Reference" if n_atoms <= SMALL and not periodic else "CPU"


def produce(
    protocol: Protocol,
    replica: int,
    n_frames: int,
    folder: Path,
    *,
    device: str = "auto",
    threads: int = 1,
    report: Callable[[float, str], None] = lambda ps, stage: None,
    stop: Event | None = None,
) -> int:
    """Bring one replica to n_frames frames, from its checkpoint where there is one.

    Args:
        report: called after each frame with the ps done, equilibration included, and the stage.
        stop: ends the run at the next frame, with a checkpoint, once it is set.

    Returns:
        The number of frames there are then.

    Raises:
        ReferenceRunError: when positions or energies are no longer finite, and for a checkpoint that does not fit.
    """
    stop = stop or Event()
    prepared = prepare(protocol, replica)
    solute = prepared.structure.topology.n_atoms
    recorder = Recorder(folder, replica, solute, biased=bool(protocol.bias))
    done = recorder.frames
    if done >= n_frames:
        return done
    name = platform(device, prepared.system.getNumParticles(), protocol.periodic)
    context, box = _context(protocol, prepared, name, threads, recorder, replica, report, stop)
    if context is None:
        return 0
    degrees = degrees_of_freedom(prepared.system)
    frames, lines, last = [], [], time.monotonic()
    while done < n_frames and not stop.is_set():
        state = _next_frame(context, protocol)
        if state is None:
            recorder.append(frames, lines)
            raise ReferenceRunError(
                f"replica {replica} exploded between {done * protocol.frame_ps:g} and "
                f"{(done + 1) * protocol.frame_ps:g} ps; a shorter step than {protocol.dt_ps * 1000:g} fs is the usual "
                f"cure. {recorder.trajectory} holds the {done} frames before it"
            )
        done += 1
        potential = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
        position = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)[:solute]
        force = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)[:solute]
        at = done * protocol.frame_ps
        frames.append(trr_frame(position, force, box, at, done * protocol.steps_per_frame))
        line = f"{at:.10g},{potential:.4f},{2 * kinetic / (degrees * KB):.3f}"
        if protocol.bias:
            V = context.getState(energy=True, groups={bias.GROUP}).getPotentialEnergy()
            line += f",{V.value_in_unit(unit.kilojoule_per_mole):.5f}"
        lines.append(f"{line}\n")
        report(protocol.before_ps + at, "production")
        if time.monotonic() - last > CHECKPOINT_S or done == n_frames or stop.is_set():
            recorder.append(frames, lines)
            recorder.checkpoint(_state(context), done)
            frames, lines, last = [], [], time.monotonic()
    return done


def _next_frame(context, protocol: Protocol):
    """Simulate one frame and return the state then, None where positions or energies are no longer finite."""
    try:
        context.getIntegrator().step(protocol.steps_per_frame)
        # Without the group of the bias: the forces and the energy of the system itself.
        state = context.getState(
            positions=True, forces=True, energy=True, enforcePeriodicBox=protocol.periodic, groups={0}
        )
    except mm.OpenMMException as error:
        if "nan" in str(error).lower():
            return None
        raise
    finite = np.isfinite(state.getPotentialEnergy()._value + state.getKineticEnergy()._value)
    return state if finite else None


def degrees_of_freedom(system: mm.System) -> int:
    """Count the momenta that are free: not of massless or constrained particles, nor of a centre of mass held still."""
    moving = sum(system.getParticleMass(k)._value > 0 for k in range(system.getNumParticles()))
    held = any(isinstance(force, mm.CMMotionRemover) for force in system.getForces())
    return 3 * moving - system.getNumConstraints() - 3 * held


def _context(
    protocol: Protocol,
    prepared: Prepared,
    name: str,
    threads: int,
    recorder: Recorder,
    replica: int,
    report: Callable[[float, str], None],
    stop: Event,
):
    """Make a context at the last checkpoint, or equilibrated, and its box (3,) nm; (None, None) when stopped before."""
    saved = recorder.resume()
    properties = {"Threads": str(threads)} if name == "CPU" else {}
    if saved is None:
        report(0.0, "equilibration")  # from where the speed of this run counts
        state = equilibrate(protocol, prepared, name, properties, _seed(protocol.seed, replica, -1), report, stop)
    else:
        try:
            state = mm.XmlSerializer.deserialize(saved)
        except (mm.OpenMMException, ValueError) as error:
            raise ReferenceRunError(f"{recorder.state}: no state of OpenMM ({error}); {recorder.start_anew}") from error
    if state is None:
        return None, None
    vectors = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
    if protocol.periodic:
        prepared.system.setDefaultPeriodicBoxVectors(*vectors)
    platform = mm.Platform.getPlatformByName(name), properties
    if protocol.bias:
        four = bias.atoms(protocol.bias.dihedral, prepared.structure.topology)
        if saved is None:
            made = bias.metadynamics(
                protocol.bias,
                four,
                prepared.system,
                state,
                _integrator(protocol, _seed(protocol.seed, replica, -1, 0)),
                platform,
                report=lambda ps: report(2 * protocol.equilibration_ps + ps, "bias"),
                stop=stop,
            )
            if made is None:
                return None, None
            V, state = made
            bias.write(recorder.bias, V)
        bias.add(prepared.system, four, bias.read(recorder.bias, protocol.bias))
    # A resumed run draws other noise than the first time: the frames done are part of the seed.
    integrator = _integrator(protocol, _seed(protocol.seed, replica, recorder.frames))
    context = mm.Context(prepared.system, integrator, *platform)
    context.setState(state)
    if saved is None:
        recorder.checkpoint(_state(context), 0)
    return context, np.diag(vectors) if protocol.periodic else prepared.box


def _integrator(protocol: Protocol, seed: int) -> mm.LangevinMiddleIntegrator:
    integrator = mm.LangevinMiddleIntegrator(protocol.temperature_K, protocol.friction_per_ps, protocol.dt_ps)
    integrator.setRandomNumberSeed(seed)
    return integrator


def equilibrate(
    protocol: Protocol, prepared: Prepared, name: str, properties: dict, seed: int, report: Callable, stop: Event
):
    """Bring a liquid into its box; minimise; melt a liquid; NVT; in water NPT, from which the frame of the volume nearest to
    the mean goes on."""
    system = mm.XmlSerializer.clone(prepared.system)
    barostat = None
    if protocol.solvent == "tip3p":
        barostat = mm.MonteCarloBarostat(NPT_BAR, protocol.temperature_K, 0)
        system.addForce(barostat)
    integrator = _integrator(protocol, seed)
    context = mm.Context(system, integrator, mm.Platform.getPlatformByName(name), properties)
    context.setPositions(prepared.position)
    report(0.0, "equilibration")
    if protocol.is_liquid and not _bring_together(context, prepared, protocol.temperature_K, seed, stop):
        return None
    mm.LocalEnergyMinimizer.minimize(context)
    context.setVelocitiesToTemperature(protocol.temperature_K, seed)
    steps = max(1, round(protocol.equilibration_ps / protocol.dt_ps))
    if protocol.is_liquid:
        integrator.setTemperature(MELT_K)
        if not _step(context, steps, report, stop):
            return None
        integrator.setTemperature(protocol.temperature_K)
    if not _step(context, steps, report, stop):
        return None
    if barostat is None:
        return _full(context)
    barostat.setFrequency(25)
    context.reinitialize(preserveState=True)
    if not _step(context, steps // 2, report, stop):
        return None
    states = []
    for _ in range(NPT_SAMPLES):
        if not _step(context, max(1, steps // 2 // NPT_SAMPLES), report, stop):
            return None
        states.append(_full(context))
    volumes = np.array([s.getPeriodicBoxVolume()._value for s in states])
    return states[int(np.argmin(np.abs(volumes - volumes.mean())))]


def _bring_together(context, prepared: Prepared, temperature_K: float, seed: int, stop: Event) -> bool:
    """Shrink a liquid from a cube around all that it is made of to its box, unless stopped.

    Each time the centres of the molecules move, which stay as they are, and then the atoms give way.
    """
    topology, last = prepared.structure.topology, np.ptp(prepared.position, axis=0).max() + GAP_NM
    of = molecules(topology.bonds, topology.n_atoms)
    times = max(0, math.ceil(math.log(prepared.box.min() / last) / math.log(CLOSER)))
    for edge in np.geomspace(last, prepared.box.min(), times + 1)[1:]:
        position = context.getState(positions=True).getPositions(asNumpy=True)._value
        centre = np.stack([np.bincount(of, weights=x) for x in position.T], axis=1) / np.bincount(of)[:, None]
        context.setPeriodicBoxVectors(*(edge * np.eye(3)))
        context.setPositions(position + (edge / last - 1) * centre[of])
        mm.LocalEnergyMinimizer.minimize(context, maxIterations=CLOSER_ITERATIONS)
        context.setVelocitiesToTemperature(temperature_K, seed)
        if stop.is_set():
            return False
        context.getIntegrator().step(CLOSER_STEPS)
        last = edge
    context.setTime(0.0)
    return True


def _step(context, steps: int, report: Callable[[float, str], None], stop: Event, chunk: int = 500) -> bool:
    """Take steps unless stopped, and report the time after each chunk."""
    for start in range(0, steps, chunk):
        if stop.is_set():
            return False
        context.getIntegrator().step(min(chunk, steps - start))
        report(context.getTime()._value, "equilibration")
    return True


def _full(context):
    return context.getState(positions=True, velocities=True)


def _state(context) -> str:
    return mm.XmlSerializer.serialize(_full(context))


def _seed(*numbers: int) -> int:
    """A positive 31-bit seed from a run's seed, the replica and the frames done."""
    return int(np.random.SeedSequence([n + 1 for n in numbers]).generate_state(1)[0] >> 1) or 1


def version() -> str:
    return mm.Platform.getOpenMMVersion()
