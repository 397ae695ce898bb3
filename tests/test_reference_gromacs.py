"""The study's protocol by GROMACS as notebooks/data/gromacs has it: its numbers, a short run, what it leaves."""

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from chirality import handedness
from gmx import needs_gmx
from numpy.testing import assert_allclose

from cgcore import io
from cgcore.reference.build import HEXANE_TOP

RECIPES = Path(__file__).parents[1] / "notebooks" / "data" / "gromacs"


def options(path):
    return dict(line.split(" = ") for line in path.read_text().splitlines() if not line.startswith(";"))


@pytest.mark.parametrize(
    "kind, dt, cutoff, grid, tau, groups",
    [("liquid", 0.001, 1.22, 0.26, "1.0", 1), ("peptide", 0.0005, 1.0, 0.16, "0.1 0.1", 2)],
)
def test_the_recipes_have_the_numbers_of_the_study(kind, dt, cutoff, grid, tau, groups):
    stages = {path.stem: options(path) for path in (RECIPES / kind).glob("*.mdp")}
    assert stages.keys() == {"em", "nvt", "md"} | ({"melt"} if kind == "liquid" else {"npt"})
    for stage in stages.values():
        assert [float(stage[key]) for key in ("rcoulomb", "rvdw", "fourierspacing")] == [cutoff, cutoff, grid]
        assert (stage["coulombtype"], stage["vdwtype"], stage["DispCorr"]) == ("PME", "Cut-off", "EnerPres")
        assert stage["constraints"] == "none"
    production = stages["md"]
    assert (production["tcoupl"], production["tau-t"]) == ("V-rescale", tau)
    assert production["ref-t"].split() == ["300"] * groups and "pcoupl" not in production
    assert float(production["dt"]) == dt and production["nstxout"] == production["nstfout"] == "2000"


@needs_gmx
def test_the_alkanes_of_opls_are_those_of_gromacs():
    """OpenMM reads our part of the force field, GROMACS its own."""
    ours = (HEXANE_TOP.parent / "oplsaa.ff" / "forcefield.itp").read_text()
    top = next(p for p in Path(shutil.which("gmx")).resolve().parents if (p / "share/gromacs/top").is_dir())
    folder = top / "share/gromacs/top/oplsaa.ff"
    theirs = [(folder / name).read_text() for name in ("forcefield.itp", "ffnonbonded.itp", "ffbonded.itp")]
    known = {row for text in theirs for row in rows_of(text)}
    assert len(rows_of(ours)) == 12 and set(rows_of(ours)) <= known


def rows_of(itp):
    """Every line of numbers, as words and numbers."""
    rows = [line.split(";")[0].split() for line in itp.splitlines() if line[:1] not in ("[", "#")]
    return [tuple(float(w) if re.fullmatch(r"[-+.\de]*\d[-+.\de]*", w) else w for w in row) for row in rows if row]


def test_hexane_is_opls_with_all_1_4_pairs():
    rows, section = {}, None
    for line in HEXANE_TOP.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif section:
            rows.setdefault(section, []).append(line.split())
    assert rows["moleculetype"] == [["HEX", "3"]] and rows["molecules"] == [["HEX", "100"]]
    assert Counter(row[1] for row in rows["atoms"]) == {"opls_135": 2, "opls_136": 4, "opls_140": 14}
    assert_allclose(sum(float(row[6]) for row in rows["atoms"]), 0.0, atol=1e-12)
    counts = {title: len(rows[title]) for title in ("bonds", "angles", "dihedrals", "pairs")}
    assert counts == {"bonds": 19, "angles": 36, "dihedrals": 45, "pairs": 45}
    charges = {row[1]: float(row[6]) for row in rows["atoms"]}
    assert charges == {"opls_135": -0.18, "opls_136": -0.12, "opls_140": 0.06}
    ends = {frozenset((row[0], row[3])) for row in rows["dihedrals"]}
    assert {frozenset(row[:2]) for row in rows["pairs"]} == ends and len(ends) == len(rows["pairs"])
    assert {row[-1] for row in rows["dihedrals"]} == {"3"}


@needs_gmx
@pytest.mark.slow
@pytest.mark.parametrize("system", ["thr2", "hexane"])
def test_a_short_run_is_resumed_and_read(system, tmp_path):
    kind = "liquid" if system == "hexane" else "peptide"
    for recipe in (RECIPES / kind).glob("*.mdp"):
        text = re.sub(r"^nst(\w+) = .*", r"nst\1 = 20", recipe.read_text(), flags=re.MULTILINE)
        (tmp_path / recipe.name).write_text(re.sub(r"^nsteps = [12]00000", "nsteps = 200", text, flags=re.MULTILINE))
    length_ns = 100 * float(options(tmp_path / "md.mdp")["dt"]) / 1000
    run = ["sh", RECIPES / "run.sh", system, f"{length_ns:.6f}", tmp_path]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(2):  # the second time all but production is there
        subprocess.run(run, check=True, capture_output=True, env=environment)
        kept = (tmp_path / "nvt.gro").stat().st_mtime_ns, (tmp_path / "solute.trr").stat().st_size
        (tmp_path / "md.gro").unlink()  # as if killed before the end
    assert (tmp_path / "nvt.gro").stat().st_mtime_ns == kept[0]
    topology = io.read_topology(tmp_path / "topology.pdb")
    frames = io.read(tmp_path / "solute.trr", topology, require_forces=True, require_box=True)
    assert frames.n_frames == 6
    i, j = topology.bonds.T
    assert np.linalg.norm(frames.position[:, i] - frames.position[:, j], axis=-1).max() < 0.18
    assert 300 < np.sqrt(np.mean(frames.force**2)) < 5000  # kJ/mol/nm, hardly equilibrated
    if system == "hexane":
        grams_per_litre = 100 * 86.178 / 6.02214076e23 / (frames.box.prod() * 1e-24)
        assert_allclose(grams_per_litre, 655, atol=3)  # 0.655 g/ml at 298 K
    else:
        assert handedness(topology, frames.position[-1])[0] == "S"


@pytest.mark.parametrize(
    "given, said", [(["ala2"], "run.sh SYSTEM LENGTH_NS FOLDER"), (["ala3", "1", "."], "no system 'ala3'")]
)
def test_a_slip_is_told(given, said, tmp_path):
    ended = subprocess.run(["sh", RECIPES / "run.sh", *given], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2 and said in ended.stderr
