"""The doctor in the page says of a structure what cgcore.doctor says of it: symmetries, stereocentres, typing."""

import json
import shutil
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from cgcore import mapping as maps
from cgcore.doctor.groups import describe, symmetries
from cgcore.doctor.molecule import kinds
from cgcore.doctor.species import typing as types
from cgcore.doctor.stereo import handedness, obstacle, retention
from cgcore.io import read_topology
from cgcore.mapping import MappingError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "_build" / "html" / "systems" / "doctor.html"
MOLECULES = [ROOT / "book" / "doctor_maps" / f"{name}.pdb" for name in ("thr_phe", "chignolin")]
SETS = ("ala2_obc2", "gly2_obc2", "pro2_obc2", "thr2_obc2", "ala15_obc2")
MOLECULES += [ROOT / "notebooks" / "data" / name / "topology.pdb" for name in SETS]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here"),
    pytest.mark.skipif(not PAGE.is_file(), reason="the book is not built: uv run cgcore book"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from chromium import Page

    with Page(PAGE.as_uri(), tmp_path_factory.mktemp("profile") / "of") as opened:
        opened.wait("document.querySelector('.cg-doctor').doctor !== undefined")
        yield opened
        assert not [error for error in opened.errors if "Got invalid theme mode" not in error]


def by_python(path: Path, name: str, typing: str) -> dict:
    """The parts of the verdict that one structure decides; beads by number."""
    topology, atoms = read_topology(path), mdtraj.load(path).xyz[:1].astype(float)
    mapping = maps.load(name, topology, typing=typing)
    x = np.stack([atoms[:, of_bead[0]] for of_bead in mapping.atoms], axis=1)
    (molecule,) = kinds(mapping, topology)
    x = molecule.select(x)
    of_atoms = handedness(molecule, atoms[:, molecule.atom_copies])
    kept, group = retention(molecule, of_atoms, x), symmetries(molecule, of_atoms.relative)
    found = types(molecule, group)
    return {
        "beads": list(molecule.beads),
        "species": list(molecule.species),
        "bonds": molecule.bonds.tolist(),
        "atomBonds": topology.bonds.tolist(),
        "stereo": [[centre.state, list(centre.beads)] for centre in kept],
        "broken": [
            [describe(g, molecule), list(g.permutation), g.parity, obstacle(g, kept, x[0])] for g in group.cosets
        ],
        "symmetries": len(group.model),
        "own": len(group.molecule),
        "differ": [list(pair) for pair in found.must_differ],
        "proposed": list(found.proposed),
        "coarsest": list(found.coarsest),
    }


def by_page(page, path: Path, name: str, typing: str) -> dict | str:
    return page.get(f"""(() => {{
      try {{
        const m = CgMolecules.mapped(CgMolecules.read({json.dumps(path.read_text())}), CgDoctorData.maps.{name}, "{typing}");
        const {{stereo, broken, symmetries, own, typing}} = CgDoctor.examine(m), {{beads, species, bonds, atomBonds}} = m;
        return {{beads, species, bonds, atomBonds, symmetries, own, ...typing,
                 stereo: stereo.map(s => [s.state, s.beads]),
                 broken: broken.map(b => [b.name, b.permutation, b.parity, b.path])}};
      }} catch (error) {{ return error.message; }} }})()""")


@pytest.mark.parametrize("path", MOLECULES, ids=[path.stem.replace("topology", path.parent.name) for path in MOLECULES])
def test_the_page_says_what_python_says(page, path):
    looked, broken = 0, 0
    for name in ("core", "core_beta", "chain_ca"):
        for typing in page.get(f"Object.keys(CgDoctorData.maps.{name}.typings)"):
            try:
                wanted = by_python(path, name, typing)
            except MappingError:
                assert "has an atom CB" in by_page(page, path, name, typing)
                continue
            assert by_page(page, path, name, typing) == wanted, (name, typing)
            looked, broken = looked + 1, broken + len(wanted["broken"])
    assert looked >= 5 and (broken or "gly2" in str(path))


def test_a_form_tells_lost_stereocentres_and_a_mirror_image_in_words(page):
    told = page.get("document.querySelector('.cg-doctor .verdict').innerText")
    assert "1 of 1 stereocentres lost (ALA2:CA)" in told and "✗ mirror image: in every model" in told
    page.get(
        "(m => { m.value = 'core_beta'; m.dispatchEvent(new Event('change')) })(document.querySelector('.cg-doctor .map'))"
    )
    told = page.get("document.querySelector('.cg-doctor .verdict').innerText")
    assert "kept with inversion path" in told and "! mirror image: in the model, behind the plane" in told


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "Want a PDB file"),
        ("ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00  0.00           C", "Want hydrogens"),
        (MOLECULES[0].read_text().replace(" -4.945", "    nan", 1), "Want coordinates"),
        (
            MOLECULES[0].read_text().replace("END", "HETATM   99  O   HOH B   9      20.000  20.000  20.000\nEND"),
            "no N",
        ),
    ],
    ids=["no atoms", "no hydrogens", "no number", "water"],
)
def test_what_cannot_be_judged_is_refused_in_words(page, text, says):
    page.get(f"document.querySelector('.cg-doctor').doctor.take({json.dumps(text)})")
    assert says in page.get("document.querySelector('.cg-doctor .refused').innerText")
