"""The verdicts of the page "Your molecule": capped threonine and phenylalanine, from a reference of it.

    cgcore reference book/doctor_maps/thr_phe.pdb --length-ns 1.5 --every-ps 1.5 --dt-fs 3 --out reference/thr_phe
    python -m cgbook.own_molecule reference/thr_phe

writes them into book/results/doctor/own, each with a manifest: what `cgcore doctor` and `cgcore propose` print.
"""

import argparse
import tempfile
from pathlib import Path

from cgbook.results import BOOK, made_here
from cgcore.doctor import diagnose, verdict
from cgcore.proposals import propose, ranking
from cgcore.reference import sets
from cgcore.store import read_json, write_json
from cgcore.store.bundled import checksum

TOPOLOGY = "thr_phe.pdb"
VERDICTS = {"first": "thr_phe_backbone", "second": "thr_phe", "third": "thr_phe_heavy", "smarts": "thr_phe_smarts"}
"""What the page calls a verdict -> its map in doctor_maps/."""


def publish(reference: Path, into: Path):
    """Write the verdict on each map of the page, and the ranking of those that the topology suggests."""
    sums = read_json(reference / "manifest.json", "sha256")["sha256"]
    for name, stem in VERDICTS.items():
        map = BOOK / "doctor_maps" / f"{stem}.toml"
        examination = diagnose(str(map), str(reference))
        (into / f"{name}.txt").write_text(verdict(examination) + "\n", encoding="utf-8")
        about = {"frames": examination.n_frames, "temperature_K": examination.temperature_K}
        write_json(into / f"{name}.json", made_here(**about, sha256=sums | {map.name: checksum(map)}))
    topology, frames = sets.load(reference)
    with tempfile.TemporaryDirectory() as folder:
        words = ranking(propose(topology, frames, Path(folder)))
    (into / "proposals.txt").write_text(words + "\n", encoding="utf-8")
    write_json(into / "proposals.json", made_here(frames=frames.n_frames, sha256=sums))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path)
    publish(parser.parse_args().reference, BOOK / "results" / "doctor" / "own")
