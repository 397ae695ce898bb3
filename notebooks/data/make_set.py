"""Make a bundled set from a finished folder of `cgcore reference`:

    python notebooks/data/make_set.py reference/ala2_obc2 notebooks/data/ala2_obc2 --good-for "training" --stride 1

`--adopt SYSTEM TRAJECTORY VERSION` first makes such a folder of a GROMACS run by the recipe in gromacs/, from its TRR file
and the version of GROMACS; the files' atoms must be in the order of `cgcore.reference`.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np

from cgcore.io import index_trr, write_packed
from cgcore.reference.build import hexane
from cgcore.reference.output import MANIFEST, TOPOLOGY, open_folder, write_topology
from cgcore.reference.protocol import protocol
from cgcore.reference.sets import SET, load
from cgcore.store import read_json, write_json
from cgcore.store.bundled import SUMS
from cgcore.store.files import plain


def bundle(folder: Path, target: Path, *, good_for: str, stride: int = 1) -> Path:
    """Make a set from a finished folder of `cgcore reference`: packed frames, topology, description, checksums."""
    folder, target = Path(folder), Path(target)
    manifest = read_json(folder / MANIFEST)
    target.mkdir(parents=True, exist_ok=True)
    (target / TOPOLOGY).write_bytes((folder / TOPOLOGY).read_bytes())
    _, frames = load(folder, stride=stride)
    files = [f"replica_{r:02d}.h5" for r in range(manifest["replicas"])]
    for file, index, valid in zip(files, *frames.by_replica(), strict=True):
        write_packed(target / file, frames[index[valid]])
    spacing = float(np.median(np.diff(frames.sampled_ps)))
    protocol = manifest["protocol"]
    description = {
        "system": protocol["system"],
        "solvent": protocol["solvent"],
        "good_for": good_for,
        "frames": frames.n_frames,
        "spacing_ps": spacing,
        "trajectories": files,
        "made_by": manifest,
    }
    write_json(target / SET, description)
    (target / "README.md").write_text(_readme(target.name, description))
    names = sorted(p.name for p in target.iterdir() if p.name not in {SUMS, "README.md"})
    sums = [f"{hashlib.sha256((target / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (target / SUMS).write_text("".join(sums))
    return target


def _readme(name: str, entry: dict) -> str:
    protocol, made = entry["made_by"]["protocol"], entry["made_by"]
    length, engine = entry["frames"] * entry["spacing_ps"] / 1000, protocol.get("engine", "openmm")
    rows = {
        "system": f"{entry['system']}, solvent {entry['solvent']}",
        "engine": f"{engine} ({made['versions'].get(engine)}, {made['platform']})",
        "frames": f"{entry['frames']} in {len(entry['trajectories'])} runs, every {entry['spacing_ps']:g} ps, "
        f"{length:g} ns in all",
        "time step": f"{protocol['dt_ps'] * 1000:g} fs"
        + (f", hydrogens of {protocol['hydrogen_mass']:g} g/mol" if protocol["hydrogen_mass"] else ""),
        "constraints": protocol["constraints"],
        **({"start": f"every run in the conformation {protocol['start']!r}"} if protocol.get("start") else {}),
        **({"bias": _bias(protocol["bias"])} if protocol.get("bias") else {}),
        "content": "positions (to 1e-4 nm) and forces (to 1 kJ/mol/nm) of the solute, packed by cgcore.io.write_packed",
        "good for": entry["good_for"],
    }
    table = "".join(f"| {key} | {value} |\n" for key, value in rows.items())
    return (
        f"# {name}\n\nA reference set of cgcore: `cgcore.reference.sets.load({name!r})`.\n\n| | |\n|---|---|\n{table}\n"
        f"`set.json` has the whole protocol, versions and the mean temperature. Check with `sha256sum -c {SUMS}`.\n"
    )


def _bias(bias: dict) -> str:
    return (
        f"along {bias['dihedral']}, by {bias['length_ns']:g} ns of well-tempered metadynamics in each run (gamma = "
        f"{bias['bias_factor']:g}), then fixed; each frame has the weight exp(V / kT), forces are those without the bias"
    )


def adopt(folder: Path, system: str, trajectory: Path, version: str):
    """A folder as `cgcore reference` leaves it, around a trajectory that GROMACS made by the recipe of the liquid."""
    wanted = protocol(system)
    open_folder(folder, wanted)
    write_topology(folder / TOPOLOGY, hexane(), np.zeros((0, 2), int))
    (folder / "replica_00.trr").write_bytes(trajectory.read_bytes())
    frames = len(index_trr(trajectory)) - 1
    manifest = {
        "protocol": plain(wanted) | {"engine": "gromacs", "friction_per_ps": None, "tau_ps": 1.0},
        "replicas": 1,
        "frames": frames,
        "length_ns": frames * wanted.frame_ps / 1000,
        "platform": "CPU",
        "versions": {"gromacs": version},
        "note": "made with gmx",
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
