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
from .gromacs_inputs import MELTING_K, hexane_topology, minimisation, npt, nvt, read_mdp
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
    device: str = "auto"
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
        done, mdp, tpr = (self.work / f"{name}.{suffix}" for suffix in ("done", "mdp", "tpr"))
        if done.is_file():
            return True
        if not tpr.is_file():
            mdp.write_text(parameters)
            words = [word for key, value in state.items() for word in (f"-{key}", value)]
            files = ("-f", mdp.name, "-p", "topol.top", "-po", "used.mdp", "-o", f"part.{tpr.name}")
            self.call("grompp", *files, *words)
            (self.work / f"part.{tpr.name}").rename(tpr)
        values = read_mdp(mdp)
        first, last, on_step = 0, None, None
        if values["integrator"] != "steep":  # whose steps are no time
            first = int(values.get("init-step", 0))
            last = first + int(values["nsteps"])

            def on_step(step: int):
                self.report(before_ps + max(first, step) * self.protocol.dt_ps, said)

            on_step(last_step(self.work / f"{name}.log"))
        where = dict(folder=self.work, threads=self.threads, device=self.device)
        ended = mdrun(self.gmx, name, **where, last=last, on_step=on_step, stop=self.stop)
        if ended:
            done.touch()
        return ended


def edge_nm(protocol: Protocol, solute: Structure) -> float:
    """Of the cubic box: the liquid's own, or the solute's largest diameter and a margin at both ends."""
    if system(protocol.system).is_liquid:
        return float(solute.box.min())
    return float(pdist(solute.position).max()) + 2 * protocol.margin_nm


def topology_file(replica: Replica, solute: Structure):
    """topol.top of the solute, and solute.gro with its atoms as GROMACS orders them.

    Raises ReferenceError where those are not the solute's.
    """
    work = replica.work
    if system(replica.protocol.system).is_liquid:
        (work / "topol.top").write_text(hexane_topology(solute.topology))
        write_gro(work / "solute.gro", solute, solute.position, solute.box)
        return
    write_topology(work / "solute.pdb", solute, np.zeros((0, 2), int))
    # In GROMACS's own order a hydrogen of ACE would come before its carbon.
    files = ("-f", "solute.pdb", "-o", "solute.gro", "-p", "topol.top", "-i", "posre.itp", "-nosort")
    replica.call("pdb2gmx", *files, "-ff", FORCE_FIELD, "-water", WATER)
    names = tuple(line[10:15].strip() for line in (work / "solute.gro").read_text().splitlines()[2:-1])
    if names != solute.topology.names:
        raise ReferenceError(
            f"{work}: want the solute's atoms {solute.topology.names[:8]}... in this order, GROMACS made {names[:8]}...; "
            f"does its force field {FORCE_FIELD} differ from the one of 2022?"
        )


def build(replica: Replica, solute: Structure):
    """topol.top and start.gro, a peptide in water. Raises ReferenceError where GROMACS's atoms are not the solute's."""
    topology_file(replica, solute)
    made = replica.work / "solute.gro"
    if not system(replica.protocol.system).is_liquid:
        edge = f"{edge_nm(replica.protocol, solute):.5f}"
        replica.call("editconf", "-f", made.name, "-o", "boxed.gro", "-bt", "cubic", "-c", "-box", edge)
        made = replica.work / "solvated.gro"
        replica.call("solvate", "-cp", "boxed.gro", "-cs", "spc216.gro", "-p", "topol.top", "-o", made.name)
    made.rename(replica.work / "start.gro")


def write_gro(path: Path, solute: Structure, position: np.ndarray, box: np.ndarray, waters: int = 0):
    """Positions (A, 3) nm of a solute and so many waters behind it as GRO, 1e-5 nm fine; box (3,) nm."""
    topology = solute.topology
    last = topology.residue_index[-1]
    labels = list(zip(topology.residue_index, topology.residues, topology.names, strict=True))
    labels += [(last + 1 + k, "SOL", name) for k in range(waters) for name in ("OW", "HW1", "HW2")]
    lines = [
        f"{(number + 1) % 100000:5d}{residue:<5}{name:>5}{(k + 1) % 100000:5d}" + "".join(f"{x:10.5f}" for x in xyz)
        for k, ((number, residue, name), xyz) in enumerate(zip(labels, position, strict=True))
    ]
    edges = "".join(f"{edge:10.5f}" for edge in box)
    path.write_text("\n".join(["cgcore", f"{len(labels):5d}", *lines, edges, ""]))


def equilibrate(replica: Replica) -> bool:
    """Minimisation, then melting and NVT for the liquid, NVT and NPT for a peptide; False when stopped."""
    protocol, seed, length = replica.protocol, replica.seed, replica.protocol.equilibration_ps
    if not replica.simulate("em", minimisation(protocol), said="minimisation", c="start.gro"):
        return False
    if system(protocol.system).is_liquid:
        melt, rest = nvt(protocol, seed, temperature_K=MELTING_K), nvt(protocol, seed + 1, velocities=False)
        return replica.simulate("melt", melt, said="melting", c="em.gro") and replica.simulate(
            "nvt", rest, said="NVT", before_ps=length, c="em.gro", t="melt.cpt"
        )
    return replica.simulate("nvt", nvt(protocol, seed), said="NVT", c="em.gro") and replica.simulate(
        "npt", npt(protocol, seed + 1), said="NPT", before_ps=length, c="em.gro", t="nvt.cpt"
    )


def equilibrated(replica: Replica) -> dict:
    """What production starts from: the end of NVT, or the frame in NPT's second half of the volume nearest the mean."""
    if system(replica.protocol.system).is_liquid:
        return dict(c="em.gro", t="nvt.cpt")
    replica.call("energy", "-f", "npt.edr", "-o", "npt.xvg", answer="Volume\n\n")
    time, volume = read_xvg(replica.work / "npt.xvg")[1].T
    late = time >= time[-1] / 2
    nearest = np.argmin(np.abs(volume - volume[late].mean()) + np.where(late, 0.0, np.inf))
    return dict(c="em.gro", t="npt.trr", time=f"{time[nearest]:.10g}")


def read_xvg(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the columns after the first, and the table (T, 1 + columns), of a file of `gmx energy`."""
    lines = path.read_text().splitlines()
    names = [line.split('"')[1] for line in lines if line.startswith("@ s") and "legend" in line]
    rows = [line.split() for line in lines if line and line[0] not in "#@"]
    return names, np.array(rows, dtype=float).reshape(-1, 1 + len(names))
