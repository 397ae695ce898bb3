"""One replica in GROMACS's hands: built, minimised and equilibrated in a folder of its own."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

from .build import Structure
from .errors import ReferenceError
from .gmx import call, last_step, mdrun
from .gromacs_inputs import MELTING_K, hexane_topology, minimisation, npt, nvt
from .output import write_topology
from .protocol import Protocol, system

FORCE_FIELD, WATER = "amber99sb-ildn", "tip3p"


class Replica(NamedTuple):
    """One replica's run: what makes it, where it works and whom it tells.

    report: called with the simulated ps so far, equilibration included, and what is being done; stop: ends it in order.
    """

    gmx: Path
    protocol: Protocol
    number: int
    folder: Path
    threads: int = 1
    report: Callable[[float, str], None] = lambda ps, stage: None
    stop: Event | None = None

    @property
    def work(self) -> Path:
        return self.folder / f"gromacs_{self.number:02d}"

    @property
    def seed(self) -> int:
        return self.protocol.seed + 1000 * self.number

    def call(self, *words, answer: str = ""):
        call(self.gmx, *words, folder=self.work, answer=answer)

    def simulate(self, name: str, parameters: str, *, said: str, before_ps: float = 0.0, **state) -> bool:
        """One stage from the state that grompp is told (c, t, time), as far as it is not done; False when stopped."""
        if not (self.work / f"{name}.tpr").is_file():
            (self.work / f"{name}.mdp").write_text(parameters)
            words = [word for key, value in state.items() for word in (f"-{key}", value)]
            files = ("-f", f"{name}.mdp", "-p", "topol.top", "-po", "used.mdp", "-o", f"{name}.part.tpr")
            self.call("grompp", *files, *words)
            (self.work / f"{name}.part.tpr").rename(self.work / f"{name}.tpr")

        def on_step(step: int):
            self.report(before_ps + step * self.protocol.dt_ps, said)

        if said != MINIMISATION:  # its steps are no time
            on_step(last_step(self.work / f"{name}.log"))
        else:
            on_step = None
        return mdrun(self.gmx, name, folder=self.work, threads=self.threads, on_step=on_step, stop=self.stop)


MINIMISATION = "minimisation"


def edge_nm(protocol: Protocol, solute: Structure) -> float:
    """Of the cubic box: the liquid's own, or the solute's largest diameter and a margin at both ends."""
    if system(protocol.system).is_liquid:
        return float(solute.box.min())
    return float(pdist(solute.position).max()) + 2 * protocol.margin_nm


def build(replica: Replica, solute: Structure):
    """topol.top and start.gro. Raises ReferenceError where GROMACS's atoms are not those of the solute, in order."""
    work, protocol = replica.work, replica.protocol
    if system(protocol.system).is_liquid:
        (work / "topol.top").write_text(hexane_topology(solute.topology))
        write_gro(work / "start.part.gro", solute)
    else:
        write_topology(work / "solute.pdb", solute, np.zeros((0, 2), int))
        # In GROMACS's own order a hydrogen of ACE would come before its carbon.
        files = ("-f", "solute.pdb", "-o", "solute.gro", "-p", "topol.top", "-i", "posre.itp", "-nosort")
        replica.call("pdb2gmx", *files, "-ff", FORCE_FIELD, "-water", WATER)
        edge = f"{edge_nm(protocol, solute):.5f}"
        replica.call("editconf", "-f", "solute.gro", "-o", "boxed.gro", "-bt", "cubic", "-c", "-box", edge)
        replica.call("solvate", "-cp", "boxed.gro", "-cs", "spc216.gro", "-p", "topol.top", "-o", "start.part.gro")
    names = tuple(line[10:15].strip() for line in (work / "start.part.gro").read_text().splitlines()[2:-1])
    if names[: solute.topology.n_atoms] != solute.topology.names:
        raise ReferenceError(
            f"{work}: want the solute's atoms {solute.topology.names[:8]}... first and in this order, GROMACS made "
            f"{names[:8]}...; does its force field {FORCE_FIELD} differ from the one of 2022?"
        )
    (work / "start.part.gro").rename(work / "start.gro")


def write_gro(path: Path, structure: Structure):
    """A structure with its box as GRO, 1e-5 nm fine."""
    topology = structure.topology
    rows = zip(topology.residue_index, topology.residues, topology.names, structure.position, strict=True)
    lines = [
        f"{number + 1:5d}{residue:<5}{name:>5}{k % 99999 + 1:5d}" + "".join(f"{x:10.5f}" for x in xyz)
        for k, (number, residue, name, xyz) in enumerate(rows)
    ]
    box = "".join(f"{edge:10.5f}" for edge in structure.box)
    path.write_text("\n".join(["solute", f"{topology.n_atoms:5d}", *lines, box, ""]))


def equilibrate(replica: Replica) -> bool:
    """Minimisation, then melting and NVT for the liquid, NVT and NPT for a peptide; False when stopped."""
    protocol, seed, length = replica.protocol, replica.seed, replica.protocol.equilibration_ps
    if not replica.simulate("em", minimisation(protocol), said=MINIMISATION, c="start.gro"):
        return False
    if system(protocol.system).is_liquid:
        melt, rest = nvt(protocol, seed, temperature_K=MELTING_K), nvt(protocol, seed + 1, velocities=False)
        return replica.simulate("melt", melt, said="melting", c="em.gro") and replica.simulate(
            "nvt", rest, said="NVT", before_ps=length, c="melt.gro", t="melt.cpt"
        )
    return replica.simulate("nvt", nvt(protocol, seed), said="NVT", c="em.gro") and replica.simulate(
        "npt", npt(protocol, seed + 1), said="NPT", before_ps=length, c="nvt.gro", t="nvt.cpt"
    )


def equilibrated(replica: Replica) -> dict:
    """What production starts from: the end of NVT, or the frame in NPT's second half of the volume nearest the mean."""
    if system(replica.protocol.system).is_liquid:
        return dict(c="nvt.gro", t="nvt.cpt")
    replica.call("energy", "-f", "npt.edr", "-o", "npt.xvg", answer="Volume\n\n")
    time, volume = read_xvg(replica.work / "npt.xvg")[1].T
    late = time >= time[-1] / 2
    nearest = np.argmin(np.abs(volume - volume[late].mean()) + np.where(late, 0.0, np.inf))
    return dict(c="npt.gro", t="npt.trr", time=f"{time[nearest]:.10g}")


def read_xvg(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the columns after the first, and the table (T, 1 + columns), of a file of `gmx energy`."""
    lines = path.read_text().splitlines()
    names = [line.split('"')[1] for line in lines if line.startswith("@ s") and "legend" in line]
    rows = [line.split() for line in lines if line and line[0] not in "#@"]
    return names, np.array(rows, dtype=float).reshape(-1, 1 + len(names))
