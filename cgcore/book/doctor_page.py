"""`cgcore doctor`: from a map and a trajectory to a verdict, a page with the plots behind it, JSON, and a proposed map."""

import base64
import html
import io
import json
import tomllib
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from cgcore import mapping as maps
from cgcore.book import doctor_figures
from cgcore.config import ConfigError
from cgcore.doctor import Examination, examine, findings, headline, map_text, proposal, to_dict, verdict
from cgcore.doctor.findings import MARKS
from cgcore.doctor.report import HEADLINES, ORDER
from cgcore.doctor.stereo import LOST
from cgcore.frames import Frames, Topology
from cgcore.io import read, read_topology
from cgcore.map_files import CAPS
from cgcore.reference import sets
from cgcore.store import write_json

__all__ = ["Diagnosis", "as_json", "diagnose", "verdict", "write"]

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.4rem .6rem;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}
figure{margin:1.5rem 0}img{max-width:100%}pre{background:#f4f4f4;padding:.8rem;overflow:auto}
.headline{font-size:1.25rem}tr th:first-child{white-space:nowrap}td:nth-child(3),td:nth-child(4){color:#555}
.artefact,.artefact th{color:#a40000}.barrier,.barrier th{color:#8a5a00}p.clear,.clear th{color:#00602b}
tr.clear td,tr.note td{color:#555}figcaption{color:#555;max-width:46rem}"""


LEADING = 40


class Diagnosis(NamedTuple):
    """What was examined: the map's text, the beads' frames, and what was found."""

    map: str
    source: str
    beads: Frames
    examination: Examination


def diagnose(
    name: str,
    trajectory: str,
    *,
    typing: str = "study",
    residue: str | None = None,
    topology: Path | None = None,
    frame_ps: float | None = None,
    stride: int = 1,
    temperature_K: float = 300.0,
) -> Diagnosis:
    """Read, map and examine. Raises what `mapping.load`, the readers and `examine` raise, which explain themselves."""
    atoms, frames = _load(trajectory, topology, stride, frame_ps)
    mapping = maps.load(name, atoms, typing=typing, residue=residue or _residue(name, atoms))
    found = examine(mapping, atoms, frames, temperature_K=temperature_K)
    return Diagnosis(name, str(trajectory), maps.apply(mapping, frames), found)


def as_json(found: Diagnosis) -> str:
    return json.dumps(to_dict(found.examination), indent=1, ensure_ascii=False)


def write(found: Diagnosis, folder: Path) -> list[Path]:
    """doctor.json, doctor.html (self-contained) and, for one kind of molecule, the map file with proposed typings."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(found.map).stem
    written = [folder / f"{stem}.json", folder / f"{stem}.html"]
    write_json(written[0], to_dict(found.examination))
    written[1].write_text(page(found), encoding="utf-8")
    if len(found.examination.molecules) == 1:
        written.append(folder / f"{stem}_doctor.toml")
        m = found.examination.molecules[0]
        written[2].write_text(
            proposal(map_text(found.map), found.examination.mapping, m.molecule, m.typing), encoding="utf-8"
        )
    return written


def page(found: Diagnosis) -> str:
    """Verdict, findings and figures in one HTML file that needs nothing else."""
    said = found.examination
    mapping = said.mapping
    title = f"{mapping.name}, typing {mapping.typing}, on {found.source}"
    rows = "".join(
        f'<tr class="{f.level}"><th>{MARKS[f.level]} {_text(f.kind)}</th><td>{_leading(f.what)}</td><td>{_text(f.sure)}</td>'
        f"<td>{_text(f.do if f.do != 'nothing' else '')}</td></tr>"
        for f in sorted(findings(said), key=lambda f: ORDER.index(f.level))
    )
    worst = headline(said)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(title)}</title><style>{STYLE}</style>'
        f'<h1>{_text(title)}</h1><p class="headline {worst}"><strong>{_text(HEADLINES[worst])}</strong> '
        f"({said.n_frames} frames at {said.temperature_K:g} K)</p>"
        f"<table><tr><th>Question</th><th>What</th><th>How sure</th><th>What to do</th></tr>{rows}</table>"
        f"{''.join(_figures(found))}</html>\n"
    )


def _figures(found: Diagnosis):
    said, position = found.examination, np.asarray(found.beads.position)
    for m in said.molecules:
        x = m.molecule.select(position)
        for broken in m.broken:
            if broken.worst:
                words = (
                    f"Free energy of the reference (left), and of its average with its {broken.name} (right), which is what a "
                    "model with that symmetry comes to at best. White: no frame."
                )
                yield _figure(doctor_figures.symmetrised(m, broken, x, said.temperature_K), words)
        kept = [s for s in m.stereo if s.state != LOST]
        if kept:
            yield _figure(
                doctor_figures.hands(m, kept, x),
                "Signed volume of the beads at each stereocentre that they show; at zero they lie in a plane.",
            )
    if said.lengths:
        words = (
            "Bonds beside the closest beads without a bond. Where they meet, a partner can be taken for a stranger; where a gap "
            "lies between them, a network guesses."
        )
        yield _figure(doctor_figures.separations(said.lengths, said.unsampled), words)


def _figure(figure, words: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{_text(words)}"><figcaption>{_text(words)}'
        "</figcaption></figure>"
    )


def _leading(words: str) -> str:
    """The words up to the first colon in bold, if they are few: what the finding is about."""
    first, colon, rest = words.partition(": ")
    return f"<strong>{_text(first)}</strong>: {_text(rest)}" if colon and len(first) < LEADING else _text(words)


def _text(words: str) -> str:
    return html.escape(str(words))


def _load(trajectory: str, topology: Path | None, stride: int, frame_ps: float | None) -> tuple[Topology, Frames]:
    if topology is None:
        if Path(trajectory).is_file():
            raise ConfigError(f"{trajectory}: want the topology of a trajectory file as well: --topology FILE.pdb")
        return sets.load(trajectory, stride=stride)
    atoms = read_topology(topology)
    return atoms, read(trajectory, atoms, stride=stride, frame_ps=frame_ps)


def _residue(name: str, topology: Topology) -> str:
    """The first residue of the topology that the map has a table for; `mapping.load` says what is wrong if there is none."""
    try:
        known = tomllib.loads(map_text(name)).get("residues", {})
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        known = {}
    return next((r for r in topology.residues if r in known and r not in CAPS), topology.residues[0])
