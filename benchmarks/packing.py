"""Does training notice that a reference set is packed? The Core map of alanine in water, from the TRR file and packed.

    python benchmarks/packing.py

Two seeds of the same training say how much of a difference means nothing. Adds rows of kind "packing" to
book/results/reference.
"""

import argparse
import tempfile
import time
from pathlib import Path

from cgbook.results import add, made_here
from cgcore import data, io, mapping, store, train
from cgcore.potentials import mace
from cgcore.profiles import configure

ROWS = (("as written", False, 22), ("packed", True, 22), ("as written", False, 23))


def trained(frames, topology, seed: int, folder: Path) -> train.Fit:
    """The quick profile's training of the Core map."""
    config = configure("amino_acids", profile="quick", map="core", seed=seed)
    core = mapping.load("core", topology)
    beads = data.subsample(mapping.apply(core, frames, require_forces=True), config.data.frames)
    split = data.split_blocks(beads, config.data.blocks, config.data.valid_blocks, config.data.gap_ps)
    potential = mace.build(mace.for_frames(config.potential, core.species, split.train))
    return train.fit(potential, split, config.train, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("book/results/reference"))
    given = parser.parse_args()
    topology = io.read_topology(store.data_file("ala2/topology.pdb"))
    written = io.read(store.data_file("ala2/solute.trr"), topology, require_forces=True)
    for number, (label, packed, seed) in enumerate(ROWS):
        with tempfile.TemporaryDirectory() as scratch:
            io.write_packed(Path(scratch) / "frames.h5", written)
            frames = io.read(Path(scratch) / "frames.h5", topology, require_forces=True) if packed else written
            started = time.perf_counter()
            fit = trained(frames, topology, seed, Path(scratch))
        table = {"frames": frames.n_frames} | fit.table()
        add(
            given.folder,
            "packing",
            {"case": f"row_{number}"},
            table,
            manifest=made_here(wall_s=time.perf_counter() - started),
            sampling=f"{table['updates']} updates, held-out block of the same run",
        )
        print(f"{label}, seed {seed}", fit.errors, flush=True)


if __name__ == "__main__":
    main()
