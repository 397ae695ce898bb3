"""Make the bundled sample from the full run: python notebooks/data/make_sample.py FULL_RUN_FOLDER notebooks/data/ala2

FULL_RUN_FOLDER holds solute.trr, solute.gro, topol.top and md.mdp. Frames are copied byte by byte.
"""

import hashlib
import shutil
import sys
from pathlib import Path

import mdtraj

from cgcore.io import index_trr
from cgcore.reference.protocol import protocol
from cgcore.reference.sets import SET
from cgcore.store import write_json
from cgcore.store.files import plain

STRIDE = 2


def bonds_of(top: str) -> list[tuple[int, int]]:
    """Atom pairs, counted from 1, of the [ bonds ] section of a GROMACS topology with one molecule type in it."""
    section, bonds = "", []
    for line in (line.split(";")[0].split() for line in top.splitlines()):
        if line[:1] == ["["]:
            section = line[1]
        elif section == "bonds" and line and not line[0].startswith("#"):
            bonds.append((int(line[0]), int(line[1])))
    return bonds


def write_topology(gro: Path, top: Path, pdb: Path):
    """A PDB file with the atoms of the GRO file under their own names and every bond as a CONECT record."""
    structure = mdtraj.load(gro)
    names = [line[10:15].strip() for line in gro.read_text().splitlines()[2:-1]]
    for atom, name in zip(structure.topology.atoms, names, strict=True):
        atom.name = name
    structure.save_pdb(pdb)
    lines = [line for line in pdb.read_text().splitlines() if not line.startswith(("REMARK", "CONECT", "END"))]
    lines += [f"CONECT{i:5d}{j:5d}" for i, j in bonds_of(top.read_text())]
    pdb.write_text("\n".join([*lines, "END", ""]))


def description(trajectory: Path) -> dict:
    """What set.json says; the full run was made by hand with gmx, with a longer step and less water than the study."""
    made = plain(protocol("ala2", solvent="tip3p", every_ps=0.2, dt_fs=1.0, margin_nm=0.9))
    made |= {"engine": "gromacs", "hydrogen_mass": None, "friction_per_ps": None, "tau_ps": 0.1}
    return {
        "system": "ala2",
        "solvent": "tip3p",
        "good_for": "training and held-out force errors; too short for a converged Ramachandran surface",
        "frames": len(index_trr(trajectory)) - 1,
        "spacing_ps": STRIDE * 0.2,
        "trajectories": [trajectory.name],
        "made_by": {
            "protocol": made,
            "platform": "CPU",
            "versions": {"gromacs": "2022.5 (Debian)"},
            "length_ns": 5.014,
            "note": "made by hand with gmx, before the command",
        },
    }


def main(source: Path, target: Path):
    target.mkdir(parents=True, exist_ok=True)
    ends = index_trr(source / "solute.trr")
    data = (source / "solute.trr").read_bytes()
    with open(target / "solute.trr", "wb") as file:
        file.writelines(data[ends[k] : ends[k + 1]] for k in range(0, len(ends) - 1, STRIDE))
    for name in ("solute.gro", "topol.top", "md.mdp"):
        shutil.copyfile(source / name, target / name)
    write_topology(source / "solute.gro", source / "topol.top", target / "topology.pdb")
    write_json(target / SET, description(target / "solute.trr"))
    files = [p for p in sorted(target.iterdir()) if p.name not in {"README.md", "SHA256SUMS"}]
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
    (target / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
