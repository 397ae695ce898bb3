"""Does the time step of the implicit-solvent reference change its averages? Capped alanine, mean energies by term.

    python benchmarks/reference_timestep.py --length-ns 2

Compares 0.5 fs with real masses to longer steps with hydrogens of 4 g/mol, and adds rows of kind "timesteps" to
book/results/reference. Langevin-middle dynamics samples a harmonic bond exactly at any stable step, so that
what is left is the error of the anharmonic rest.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import openmm as mm

from cgbook.results import add, made_here
from cgcore.analysis.blocks import block_mean
from cgcore.reference.engine_openmm import version
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare

STEPS = ((0.5, None), (2.0, 4.0), (3.0, 4.0))  # fs, g/mol of hydrogen
TERMS = {
    "bonds": "HarmonicBondForce",
    "angles": "HarmonicAngleForce",
    "dihedrals": "PeriodicTorsionForce",
    "pairs": "NonbondedForce",
    "solvent": "GBSAOBCForce",
}
SAMPLE_PS = 0.3
EQUILIBRATION_PS = 50.0
BLOCKS = 20


def measure(dt_fs: float, hydrogen_mass: float | None, length_ns: float) -> dict:
    """Mean energy of each term in kJ/mol with its error over contiguous blocks."""
    made = protocol("ala2", every_ps=SAMPLE_PS, dt_fs=dt_fs, hydrogen_mass=hydrogen_mass)
    prepared = prepare(made, 0)
    groups = {type(force).__name__: k for k, force in enumerate(prepared.system.getForces())}
    for k, force in enumerate(prepared.system.getForces()):
        force.setForceGroup(k)
    integrator = mm.LangevinMiddleIntegrator(made.temperature_K, made.friction_per_ps, made.dt_ps)
    integrator.setRandomNumberSeed(round(10 * dt_fs))
    context = mm.Context(prepared.system, integrator, mm.Platform.getPlatformByName("Reference"))
    context.setPositions(prepared.position)
    mm.LocalEnergyMinimizer.minimize(context)
    context.setVelocitiesToTemperature(made.temperature_K, 1)
    integrator.step(round(EQUILIBRATION_PS / made.dt_ps))
    samples = {name: [] for name in TERMS}
    for _ in range(round(1000 * length_ns / SAMPLE_PS)):
        integrator.step(made.steps_per_frame)
        for name, force in TERMS.items():
            energy = context.getState(energy=True, groups={groups[force]}).getPotentialEnergy()
            samples[name].append(energy._value)
    table = {}
    for name, values in samples.items():
        mean = block_mean(np.array(values), BLOCKS)
        table |= {name: mean.value, f"{name}_error": mean.error}
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length-ns", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=Path("book/results/reference"))
    given = parser.parse_args()
    for dt_fs, mass in STEPS:
        started = time.perf_counter()
        table = measure(dt_fs, mass, given.length_ns)
        wall_s = time.perf_counter() - started
        add(
            given.folder,
            "timesteps",
            {"case": f"dt_{dt_fs:g}fs".replace(".", "_")},
            table,
            manifest=made_here(wall_s=wall_s, openmm=version()),
            sampling=f"{given.length_ns:g} ns, a sample every {SAMPLE_PS} ps",
        )
        print(f"{dt_fs:g} fs", {k: round(v, 3) for k, v in table.items()}, f"{wall_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
