"""GROMACS and OpenMM on the same frame: potential energies and forces, for the chapter on reference data.

    python benchmarks/reference_engines.py

Needs gmx. Adds rows of kind "engines" to book/results/reference.
"""

import argparse
import dataclasses
import re
import tempfile
import time
from pathlib import Path

from engine_comparison import compare, gmx

from cgbook.results import add, made_here
from cgcore.reference.engine_openmm import version
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare

SYSTEMS = ("hexane", "ala2", "gly2", "pro2", "thr2")
LITTLE_WATER = {"margin_nm": 0.6, "cutoff_nm": 0.8}


def gmx_version() -> str:
    said = gmx("--version", folder=Path.cwd())
    return re.search(r"^GROMACS version:\s+(.*?)\s*$", said, re.MULTILINE)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("book/results/reference"))
    given = parser.parse_args()
    for system in SYSTEMS:
        made = protocol(system, **({} if system == "hexane" else {"solvent": "tip3p"}))
        if system != "hexane":
            made = dataclasses.replace(made, **LITTLE_WATER)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            prepared = prepare(made, 0)
            found = compare(prepared, made, Path(scratch))
        print(system, found, sep="\n", flush=True)
        _, by_openmm, by_gromacs, relative = found.table[-1]
        table = {
            "potential_openmm": by_openmm,
            "potential_gromacs": by_gromacs,
            "potential_relative": relative,
            "force_relative": found.force_error,
        }
        for term, *both, _ in found.table:
            table |= {f"{term} ({name})": value for name, value in zip(("OpenMM", "GROMACS"), both, strict=True)}
        engines = {"openmm": version(), "gromacs": gmx_version()}
        about = {"protocol": dataclasses.asdict(made), "wall_s": time.perf_counter() - started}
        add(
            given.folder,
            "engines",
            {"case": system},
            table,
            manifest=made_here(**about, engines=engines),
            sampling=f"one frame, {len(prepared.position)} atoms, cut-off {made.cutoff_nm} nm",
        )


if __name__ == "__main__":
    main()
