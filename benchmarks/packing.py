"""Does training notice that a reference set is packed? The Core map of alanine in water, from the TRR file and packed.

    python benchmarks/packing.py

Two seeds of the same training say how much of a difference means nothing. Writes a small table for the book to
book/results/reference/packing.
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import jax

from cgcore import data, io, mapping, store, train
from cgcore.potentials import mace
from cgcore.profiles.amino_acids import run_config
from cgcore.store.runs import device, git_state, versions

ROWS = (("as written, seed 22", False, 22), ("packed, seed 22", True, 22), ("as written, seed 23", False, 23))


def trained(frames, topology, seed: int, folder: Path) -> train.Fit:
    """The quick profile's training of the Core map."""
    config = run_config(profile="quick", map="core", seed=seed)
    core = mapping.load("core", topology)
    beads = data.subsample(mapping.apply(core, frames, require_forces=True), config.data.frames)
    split = data.split_blocks(beads, config.data.blocks, config.data.valid_blocks, config.data.gap_ps)
    potential = mace.build(mace.for_frames(config.mace, core.species, split.train))
    return train.fit(potential, split, config.train, store.open_run(folder, "fit", config.fit))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("book/results/reference/packing"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    written = io.read(store.data_file("ala2/solute.trr"), topology, require_forces=True)
    for order, (label, packed, seed) in enumerate(ROWS):
        with tempfile.TemporaryDirectory() as scratch:
            io.write_packed(Path(scratch) / "frames.h5", written)
            frames = io.read(Path(scratch) / "frames.h5", topology, require_forces=True) if packed else written
            started = time.perf_counter()
            fit = trained(frames, topology, seed, Path(scratch))
        table = {"frames": frames.n_frames} | fit.table()
        result = {
            "label": label,
            "order": order,
            "sampling": f"{table['updates']} updates, held-out block of the same run",
            "table": table,
            "manifest": {
                "versions": versions(),
                "git": git_state(),
                "device": device(),
                "jax_backend": jax.default_backend(),
                "wall_s": time.perf_counter() - started,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        store.write_json(given.folder / f"row_{order}.json", result)
        print(label, fit.errors, flush=True)


if __name__ == "__main__":
    main()
