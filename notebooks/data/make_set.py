"""Make a bundled set from a finished folder of `cgcore reference`:

    python notebooks/data/make_set.py reference/ala2_obc2 notebooks/data/ala2_obc2 --good-for "training" --stride 1

`--adopt SYSTEM TRAJECTORY VERSION` first makes such a folder of a GROMACS run that was made by hand with the protocol of
that system, from its TRR file and the version of GROMACS; the files' atoms must be in the order of `cgcore.reference`.
"""

import argparse
from pathlib import Path

import numpy as np

from cgcore.io import index_trr
from cgcore.reference.build import hexane
from cgcore.reference.output import MANIFEST, TOPOLOGY, open_folder, write_topology
from cgcore.reference.protocol import protocol
from cgcore.reference.sets import bundle
from cgcore.store import write_json
from cgcore.store.files import plain


def adopt(folder: Path, system: str, trajectory: Path, version: str):
    """A folder as `cgcore reference` leaves it, around a trajectory that GROMACS made from inputs by hand."""
    wanted = protocol(system, engine="gromacs")
    open_folder(folder, wanted)
    write_topology(folder / TOPOLOGY, hexane(), np.zeros((0, 2), int))
    (folder / "replica_00.trr").write_bytes(trajectory.read_bytes())
    frames = len(index_trr(trajectory).has_force)
    manifest = {
        "protocol": plain(wanted),
        "replicas": 1,
        "frames": frames,
        "length_ns": frames * wanted.frame_ps / 1000,
        "platform": "CPU",
        "versions": {"gromacs": version},
        "note": "made by hand with gmx, before the command",
    }
    write_json(folder / MANIFEST, manifest)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--good-for", required=True, help="one line")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--adopt", nargs=3, metavar=("SYSTEM", "TRAJECTORY", "VERSION"))
    given = parser.parse_args()
    if given.adopt:
        system, trajectory, version = given.adopt
        adopt(given.folder, system, Path(trajectory), version)
    print(bundle(given.folder, given.target, good_for=given.good_for, stride=given.stride))


if __name__ == "__main__":
    main()
