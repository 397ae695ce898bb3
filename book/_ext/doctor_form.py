"""The form in which a reader asks the doctor about a structure, with the maps and molecules that it begins with."""

import json
import posixpath
import tomllib
from importlib import resources
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cgcore import store

FOLDER = "_static/js/doctor"
SCRIPTS = ("data", "graphs", "molecule", "doctor", "page")
MAPS = {"core": "Core", "core_beta": "Core Beta", "chain_ca": "Cα"}
"""Bundled maps that name atoms of peptides by rule."""


def data(book: Path) -> dict:
    """Maps by name, with the typings that fit any chain, and PDB files by the name of their molecule."""
    maps = {}
    for name, title in MAPS.items():
        table = tomllib.loads(resources.files("cgcore").joinpath(f"maps/{name}.toml").read_text(encoding="utf-8"))
        typings = {key: typing for key, typing in table["typings"].items() if "by" in typing}
        maps[name] = table | {"title": title, "typings": typings}
    files = {
        "capped alanine": store.data_file("ala2_obc2/topology.pdb"),
        "capped Thr-Phe": book / "doctor_maps" / "thr_phe.pdb",
        "chignolin": book / "doctor_maps" / "chignolin.pdb",
    }
    return {"maps": maps, "examples": {name: path.read_text(encoding="utf-8") for name, path in files.items()}}


class DoctorForm(SphinxDirective):
    """`{doctor-form}`: the form, which is filled in by the scripts of `static/js/doctor`."""

    def run(self):
        path = Path(self.env.app.outdir) / FOLDER / "data.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"CgDoctorData = {json.dumps(data(Path(self.env.srcdir)))};\n", encoding="utf-8")
        root = posixpath.relpath(FOLDER, posixpath.dirname(self.env.docname) or ".")
        scripts = "".join(f'<script defer src="{root}/{name}.js"></script>' for name in SCRIPTS)
        absent = "The form needs JavaScript; <code>uv run cgcore doctor</code> says the same and more."
        return [nodes.raw("", f'<div class="cg-doctor">{absent}</div>{scripts}', format="html")]


def setup(app):
    app.add_directive("doctor-form", DoctorForm)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
