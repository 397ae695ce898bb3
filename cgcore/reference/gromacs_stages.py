"""One replica by GROMACS: its stages by the recipes, built, minimised and equilibrated in a folder of its own."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

from ..io import read_topology
from .build import HEXANE_TOP, Structure
from .errors import ReferenceRunError
from .gmx import call, last_step, mdrun
from .output import mdtraj_frame, write_topology
from .protocol import RECIPES, Protocol

FORCE_FIELD, WATER = "amber99sb-ildn", "tip3p"
MELTING_K = 600.0
"""Hexane starts as a crystal; at this temperature it is gone in a few tens of ps."""


def recipe(stage: str, protocol: Protocol, *, n_steps: int | None = None, seed: int = 1, **values) -> str:
    """Fill in the .mdp file of a stage: recipes/STAGE.mdp with the numbers of a protocol.

    n_steps: those of an equilibration by default. values: what else the stage has (temperature_K in place of the
    protocol's; every, steps between frames; first_step; gen_vel and continuation, "yes" or "no").
    """
    n_steps = n_steps or max(1, round(protocol.equilibration_ps / protocol.dt_ps))
    temperature_K = values.pop("temperature_K", protocol.temperature_K)
    every = values.pop("every", max(1, n_steps // 100))
    groups = ["System"] if protocol.is_liquid else ["Protein", "Non-Protein"]
    numbers = vars(protocol) | {
        "n_steps": n_steps,
        "seed": seed,
        "temperature_K": temperature_K,
        "groups": " ".join(groups),
        "tau_t": " ".join([f"{protocol.tau_ps:g}"] * len(groups)),
        "ref_t": " ".join([f"{temperature_K:g}"] * len(groups)),
        "every": every,
        "energy_every": math.gcd(every, 100),
        # The log is what progress is read from.
        "log_every": 100 * math.ceil(min(n_steps / 100, 10_000) / 100),
    }
    return (RECIPES / f"{stage}.mdp").read_text(encoding="utf-8").format(**numbers | values)


def read_mdp(text: str) -> dict[str, str]:
    """Read the options of an .mdp file."""
    return dict(line.split(" = ") for line in text.splitlines() if line and not line.startswith(";"))


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
        """Run another program of GROMACS in the replica's folder."""
        call(self.gmx, *words, folder=self.work, answer=answer)

    def simulate(self, name: str, parameters: str, *, stage: str, before_ps: float = 0.0, **state) -> bool:
        """Run one stage from a state (grompp's options c, t, time), as far as it is not done; False when stopped."""
        done, mdp, tpr = (self.work / f"{name}.{suffix}" for suffix in ("done", "mdp", "tpr"))
        if done.is_file():
            return True
        if not tpr.is_file():
            mdp.write_text(parameters)
            words = [word for key, value in state.items() for word in (f"-{key}", value)]
            files = ("-f", mdp.name, "-p", "topol.top", "-po", "used.mdp", "-o", f"part.{tpr.name}")
            self.call("grompp", *files, *words)
            (self.work / f"part.{tpr.name}").rename(tpr)
        values = read_mdp(mdp.read_text())
        last, on_step = None, None
        if values["integrator"] != "steep":  # whose steps are no time
            first = int(values.get("init-step", 0))
            last = first + int(values["nsteps"])

            def on_step(step: int):
                self.report(before_ps + max(first, step) * self.protocol.dt_ps, stage)

            on_step(last_step(self.work / f"{name}.log"))
        options = dict(folder=self.work, threads=self.threads, device=self.device)
        ended = mdrun(self.gmx, name, **options, last=last, on_step=on_step, stop=self.stop)
        if ended:
            done.touch()
        return ended


def edge_nm(protocol: Protocol, solute: Structure) -> float:
    """Return the edge of the cubic box: the liquid's own, or the solute's largest diameter and two margins."""
    if protocol.is_liquid:
        return float(solute.box.min())
    return float(pdist(solute.position).max()) + 2 * protocol.margin_nm


def write_topologies(replica: Replica, solute: Structure):
    """Write topol.top of the solute, and solute.gro with its atoms as GROMACS orders them.

    Raises ReferenceRunError where those are not the solute's.
    """
    work = replica.work
    if replica.protocol.is_liquid:
        shutil.copy(HEXANE_TOP, work / "topol.top")
        mdtraj_frame(solute).save_gro(str(work / "solute.gro"), precision=5)
        return
    write_topology(work / "solute.pdb", solute, np.zeros((0, 2), int))
    # In GROMACS's own order a hydrogen of ACE would come before its carbon.
    files = ("-f", "solute.pdb", "-o", "solute.gro", "-p", "topol.top", "-i", "posre.itp", "-nosort")
    replica.call("pdb2gmx", *files, "-ff", FORCE_FIELD, "-water", WATER)
    names = read_topology(work / "solute.gro").names
    if names != solute.topology.names:
        raise ReferenceRunError(
            f"{work}: want the solute's atoms {solute.topology.names[:8]}... in this order, GROMACS made {names[:8]}...; does "
            f"its force field {FORCE_FIELD} differ from the one of 2022?"
        )


def build(replica: Replica, solute: Structure):
    """Write topol.top and start.gro, a peptide in water."""
    write_topologies(replica, solute)
    made = replica.work / "solute.gro"
    if not replica.protocol.is_liquid:
        edge = f"{edge_nm(replica.protocol, solute):.5f}"
        replica.call("editconf", "-f", made.name, "-o", "boxed.gro", "-bt", "cubic", "-c", "-box", edge)
        made = replica.work / "solvated.gro"
        replica.call("solvate", "-cp", "boxed.gro", "-cs", "spc216.gro", "-p", "topol.top", "-o", made.name)
    made.rename(replica.work / "start.gro")


def equilibrate(replica: Replica) -> bool:
    """Minimise, then melt and run NVT for the liquid, NVT and NPT for a peptide; False when stopped."""
    protocol, seed, length = replica.protocol, replica.seed, replica.protocol.equilibration_ps
    drawn, kept = (dict(gen_vel="yes", continuation="no"), dict(gen_vel="no", continuation="yes"))
    if not replica.simulate("em", recipe("minimisation", protocol), stage="minimisation", c="start.gro"):
        return False
    if protocol.is_liquid:
        melt = recipe("nvt", protocol, seed=seed, temperature_K=MELTING_K, **drawn)
        rest = recipe("nvt", protocol, seed=seed + 1, **kept)
        return replica.simulate("melt", melt, stage="melting", c="em.gro") and replica.simulate(
            "nvt", rest, stage="NVT", before_ps=length, c="em.gro", t="melt.cpt"
        )
    nvt, npt = recipe("nvt", protocol, seed=seed, **drawn), recipe("npt", protocol, seed=seed + 1)
    return replica.simulate("nvt", nvt, stage="NVT", c="em.gro") and replica.simulate(
        "npt", npt, stage="NPT", before_ps=length, c="em.gro", t="nvt.cpt"
    )


def equilibrated(replica: Replica) -> dict:
    """Choose where production starts: at the end of NVT, or in NPT's second half where the volume is nearest its mean."""
    if replica.protocol.is_liquid:
        return dict(c="em.gro", t="nvt.cpt")
    replica.call("energy", "-f", "npt.edr", "-o", "npt.xvg", answer="Volume\n\n")
    time, volume = read_xvg(replica.work / "npt.xvg")[1].T
    late = time >= time[-1] / 2
    nearest = np.argmin(np.abs(volume - volume[late].mean()) + np.where(late, 0.0, np.inf))
    return dict(c="em.gro", t="npt.trr", time=f"{time[nearest]:.10g}")


def read_xvg(path: Path) -> tuple[list[str], np.ndarray]:
    """Read the names of the columns after the first, and the table (T, 1 + columns), of a file of `gmx energy`."""
    names = [
        line.split('"')[1] for line in path.read_text().splitlines() if line.startswith("@ s") and "legend" in line
    ]
    return names, np.loadtxt(path, comments=("#", "@"), ndmin=2)
