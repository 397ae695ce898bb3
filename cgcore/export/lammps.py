"""LAMMPS: splines, and the priors beside them, as tables for any lmp."""

from pathlib import Path

from .lammps_tables import curves
from .lammps_tables import write as write_tables
from .source import ExportError
from .targets import numbers

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

TABLES = """```bash
lmp -in run.in         # a short Langevin run, in this folder
```

`system.in` has the beads and the tables, in LAMMPS's units real. The energy of the start, `pe` of step 0, is the first of
`check` in `manifest.json`, there in kJ/mol."""


def check(config):
    """Raise ExportError for what no tables have."""
    if config.kind != "spline":
        raise ExportError(
            f"lammps: want splines, whose tables any lmp reads, got {config.kind}. A network needs the pair style of lammps-jax, to be built from "
            "source against a LAMMPS with Kokkos of September 2025 or later; `--to ase` and `--to openmm` carry it"
        )


def write(folder: Path, source) -> str:
    """Write data file, scripts and tables; the words for README.md."""
    if (made := curves(source)) is None:
        raise ExportError("lammps: this potential has a term that is no table of a distance, an angle or a dihedral")
    boundary = "p p p" if source.molecule.liquid else "s s s"
    system = SYSTEM.format(boundary=boundary, styles=write_tables(folder, source, made))
    (folder / "system.in").write_text(system, encoding="utf-8")
    told = numbers(source)
    dynamics = DYNAMICS.format(**told, damp_fs=1000 / told["friction_per_ps"])
    (folder / "run.in").write_text(dynamics, encoding="utf-8")
    return TABLES
