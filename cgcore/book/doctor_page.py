"""A diagnosis as one HTML file that needs nothing else: the verdict, the findings, and the figures behind them."""

import base64
import html
import io
from pathlib import Path

import matplotlib.pyplot as plt

from cgcore.book import doctor_figures
from cgcore.doctor import Examination, headline
from cgcore.doctor.findings import LEVELS, TEXTS
from cgcore.doctor.report import worst_first

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.4rem .6rem;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}
img{max-width:100%}figcaption,.clear td,.note td{color:#555}
.artefact,.artefact th{color:#a40000}.barrier,.barrier th{color:#8a5a00}p.clear,.clear th{color:#00602b}"""


def write(examination: Examination, name: str, folder: Path) -> Path:
    """Write the page, named by the map."""
    path = Path(folder) / f"{Path(name).stem}.html"
    path.write_text(page(examination), encoding="utf-8")
    return path


def page(examination: Examination) -> str:
    worst = headline(examination)
    title = html.escape(f"{examination.mapping.name}, typing {examination.mapping.typing}")
    rows = [
        f'<tr class="{f.level}"><th>{LEVELS[f.level]["mark"]} {html.escape(TEXTS[f.kind]["title"])}</th>'
        f"{''.join(f'<td>{html.escape(words)}</td>' for words in (f.what, f.sure, f.do))}</tr>"
        for f in worst_first(examination)
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>'
        f'<p class="{worst}"><strong>{LEVELS[worst]["headline"]}</strong> ({examination.n_frames} frames at '
        f"{examination.temperature_K:g} K)</p><table><tr><th>Question</th><th>What</th><th>How sure</th><th>What to do</th>"
        f"</tr>{''.join(rows)}</table>{''.join(_figure(*f) for f in doctor_figures.all_of(examination))}</html>\n"
    )


def _figure(figure: plt.Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    data, words = base64.b64encode(buffer.getvalue()).decode(), html.escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'
