"""What `cgcore propose` and `cgcore doctor` print of the molecules of the page "Your molecule", from references of them.

    python -m cgbook.own_molecule reference/thr_phe reference/val_phi reference/chignolin reference/butanol reference/ethanol

writes each into book/results/doctor/own, with a manifest; the commands that make the references stand on the page.
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

VERDICTS = {"first": "thr_phe_backbone", "second": "thr_phe", "third": "thr_phe_heavy", "smarts": "thr_phe_smarts"}
"""What the page calls a verdict on capped Thr-Phe -> its map in doctor_maps/."""


def publish(reference: Path, into: Path):
    """Write the ranking of the maps that a topology suggests, and of Thr-Phe the verdict on each map of the page."""
    sums = read_json(reference / "manifest.json", "sha256")["sha256"]
    topology, frames = sets.load(reference)
    with tempfile.TemporaryDirectory() as folder:
        words = ranking(propose(topology, frames, Path(folder)))
    _write(into / f"{reference.name}.txt", words, frames=frames.n_frames, sha256=sums)
    for name, stem in VERDICTS.items() if reference.name == "thr_phe" else ():
        map = BOOK / "doctor_maps" / f"{stem}.toml"
        examination = diagnose(str(map), str(reference))
        about = {"frames": examination.n_frames, "temperature_K": examination.temperature_K}
        _write(into / f"{name}.txt", verdict(examination), **about, sha256=sums | {map.name: checksum(map)})


def _write(path: Path, words: str, **about):
    path.write_text(f"{words}\n", encoding="utf-8")
    write_json(path.with_suffix(".json"), made_here(**about))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("references", type=Path, nargs="+")
    for folder in parser.parse_args().references:
        publish(folder, BOOK / "results" / "doctor" / "own")
