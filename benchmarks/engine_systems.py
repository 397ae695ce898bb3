"""What the engine's benchmark simulates: liquid hexane, tiled at will, and capped alanine."""

from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from cgcore import data, mapping
from cgcore.config import MACEConfig, NequIPConfig
from cgcore.frames import Frames
from cgcore.potentials import mace, nequip
from cgcore.reference import sets
from cgcore.simulate import Molecule
from cgcore.store import load_tree

CUTOFF_NM = {"three_site": 0.7, "four_site": 0.65, "two_site": 0.8}
"""About twenty neighbours, the larger cut-off of the study for each map."""

WEAK = 1e-3
"""kJ/mol: energy scale of random parameters, with which beads hardly feel each other."""


@dataclass(frozen=True, kw_only=True)
class System:
    """Reference frames of beads, a network for them, and its parameters in single precision."""

    name: str
    label: str
    beads: mapping.Mapping
    frames: Frames
    model: mace.Model | nequip.Model
    params: dict
    trained: bool

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


def system(
    name: str, *, network: str = "mace", nu: int = 2, layers: int | None = None, trained: Path | None = None
) -> System:
    """A system by the name of its map: three_site, four_site, two_site (hexane) or heavy_atom (alanine).

    trained: a folder with NAME.npz as `store.save_tree` writes parameters; random ones of a weak network otherwise.
    """
    liquid = name in CUTOFF_NM
    topology, atoms = sets.load("hexane" if liquid else "ala2", stride=4)
    beads = mapping.load(name, topology, residue="hex" if liquid else "ala")
    frames = mapping.apply(beads, atoms, require_forces=True)
    chosen = dict(cutoff_nm=CUTOFF_NM.get(name, 0.5)) | ({} if layers is None else dict(layers=layers))
    if network == "mace":
        model = mace.for_frames(MACEConfig(**chosen, correlation=nu), beads.species, frames, liquid=liquid)
        potential = mace.build(model)
    else:
        model = nequip.for_frames(NequIPConfig(**chosen), beads.species, frames, liquid=liquid)
        potential = nequip.build(model)
    file = trained and trained / f"{name}_{network}.npz"
    if found := bool(file and file.is_file()):
        params = load_tree(file)
    else:
        params, model = potential.init(jax.random.key(0)), replace(model, energy_scale=WEAK)
    return System(
        name=name,
        label=f"{'hexane' if liquid else 'alanine'}, {name.replace('_', ' ')}",
        beads=beads,
        frames=frames,
        model=model,
        params=jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params),
        trained=found,
    )


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
