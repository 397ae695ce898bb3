"""What the engine's benchmark simulates: liquid hexane, tiled at will, and capped alanine."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from cgbook.results import BOOK, load
from cgcore import data, mapping
from cgcore.config import NequIPConfig, TrainConfig, from_dict
from cgcore.frames import Frames
from cgcore.potentials import mace, nequip, saved
from cgcore.reference import sets
from cgcore.simulate import Molecule

PUBLISHED = {
    "three_site": ("hexane", "three_site_mace_nu2_l2_700pm_barrier_hexane_3000_frames"),
    "four_site": ("hexane", "four_site_mace_nu2_l2_650pm_barrier_hexane_3000_frames"),
    "two_site": ("hexane", "two_site_mace_nu2_l2_800pm_barrier_hexane_3000_frames"),
    "heavy_atom": ("amino_acids", "heavy_atom"),
}
"""Map -> chapter and label of the run whose MACE is taken; its cut-off, about twenty neighbours, is the study's larger."""

WEAK = 1e-3
"""kJ/mol: energy scale of random parameters, with which beads hardly feel each other."""


@dataclass(frozen=True, kw_only=True)
class System:
    """Reference frames of beads, a network for them, its parameters in single precision, and how these were trained."""

    name: str
    label: str
    beads: mapping.Mapping
    frames: Frames
    model: mace.Model | nequip.Model
    params: dict
    trained: bool
    training: TrainConfig

    @property
    def liquid(self) -> bool:
        return self.model.capacity is not None

    @property
    def molecule(self) -> Molecule:
        """Beads, masses, and the box of a liquid."""
        box = {"box": np.asarray(self.frames.box)} if self.liquid else {}
        lengths = data.bond_lengths(self.frames, self.beads.bonds)
        b = self.beads
        return Molecule(names=b.beads, mass=b.mass, bonds=b.bonds, bond_length=lengths, **box)

    def starts(self, replicas: int) -> np.ndarray:
        """(C, N, 3) nm, evenly spread over the reference."""
        chosen = np.linspace(0, self.frames.n_frames - 1, replicas).astype(int)
        return np.asarray(self.frames.position, np.float32)[chosen]


def system(name: str, *, network: str = "mace") -> System:
    """A system by the name of its map, one of PUBLISHED: hexane, or capped alanine.

    network: "mace" with the published parameters, "nequip" with random ones of a weak network.
    """
    s = of_run(*PUBLISHED[name])
    if network == "mace":
        return s
    model = nequip.for_frames(NequIPConfig(s.model.config.cutoff_nm), s.beads.species, s.frames, liquid=s.liquid)
    params, model = nequip.build(model).init(jax.random.key(0)), replace(model, energy_scale=WEAK)
    return replace(s, model=model, params=_single(params), trained=False)


def of_run(where: str, label: str) -> System:
    """The system of a published run: its map and network, frames of the bundled set of its molecule."""
    chapter = load(BOOK / "results" / where)
    model, _, params = saved.read(chapter.model(label))
    about = chapter.runs[chapter.run(label)]["config"]
    name, liquid = about["data.map"], model.capacity is not None
    topology, atoms = sets.load("hexane" if liquid else "ala2", stride=4)
    beads = mapping.load(name, topology, typing=about["data.typing"], residue=about["data.residue"])
    return System(
        name=name,
        label=f"{'hexane' if liquid else 'alanine'}, {name.replace('_', ' ')}",
        beads=beads,
        frames=mapping.apply(beads, atoms, require_forces=True),
        model=model,
        params=_single(params),
        trained=True,
        training=from_dict(TrainConfig, {k[6:]: v for k, v in about.items() if k.startswith("train.")}),
    )


def _single(params: dict) -> dict:
    return jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params)


def tiled(small: System, k: int) -> System:
    """The same liquid, k boxes along each axis."""
    shift = np.stack(np.meshgrid(*[np.arange(k)] * 3, indexing="ij"), -1).reshape(-1, 1, 3) * np.asarray(
        small.frames.box
    )
    position = (np.asarray(small.frames.position[:1])[:, None] + shift).reshape(1, -1, 3).astype(np.float32)
    times, n = k**3, len(small.beads.beads)
    b = small.beads
    many = replace(
        b,
        beads=b.beads * times,
        species=b.species * times,
        mass=np.tile(b.mass, times),
        bonds=(np.asarray(b.bonds)[None] + n * np.arange(times)[:, None, None]).reshape(-1, 2),
    )
    frames = replace(
        small.frames, position=position, force=None, box=small.frames.box * k, time=np.zeros(1), names=many.beads
    )
    return replace(small, beads=many, frames=frames, model=replace(small.model, species=many.species))
