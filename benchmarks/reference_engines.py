"""GROMACS and OpenMM on the same frame: potential energies and forces, for the chapter on reference data.

    python benchmarks/reference_engines.py

Needs gmx. Writes a small table for the book to book/results/reference/engines.
"""

import argparse
import dataclasses
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from engine_comparison import compare

from cgcore.reference.engine_openmm import version
from cgcore.reference.gmx import find_gmx
from cgcore.reference.gmx import version as gmx_version
from cgcore.reference.protocol import protocol
from cgcore.reference.system import prepare
from cgcore.store import write_json
from cgcore.store.runs import device, git_state, versions

LABELS = {
    "hexane": "Hexane",
    "ala2": "Ala in water",
    "gly2": "Gly in water",
    "pro2": "Pro in water",
    "thr2": "Thr in water",
}
LITTLE_WATER = {"margin_nm": 0.6, "cutoff_nm": 0.8}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("book/results/reference/engines"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for order, (name, label) in enumerate(LABELS.items()):
        made = protocol(name, engine="gromacs")
        if name != "hexane":
            made = dataclasses.replace(made, **LITTLE_WATER)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            prepared = prepare(made, 0)
            found = compare(prepared, made, Path(scratch))
        print(label, found, sep="\n", flush=True)
        _, by_openmm, by_gromacs, relative = found.table[-1]
        result = {
            "label": label,
            "order": order,
            "sampling": f"one frame, {len(prepared.position)} atoms, cut-off {made.cutoff_nm} nm",
            "table": {
                "potential_openmm": by_openmm,
                "potential_gromacs": by_gromacs,
                "potential_relative": relative,
                "force_relative": found.force_error,
            }
            | {
                f"{term} ({engine})": value
                for term, *both, _ in found.table
                for engine, value in zip(("OpenMM", "GROMACS"), both, strict=True)
            },
            "manifest": {
                "protocol": dataclasses.asdict(made),
                "versions": versions() | {"openmm": version(), "gromacs": gmx_version(find_gmx())},
                "git": git_state(),
                "device": device(),
                "wall_s": time.perf_counter() - started,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        write_json(given.folder / f"{name}.json", result)


if __name__ == "__main__":
    main()
