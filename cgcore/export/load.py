"""A run's potential with its priors, made again from its reference and held against what the run says of them."""

from dataclasses import asdict, replace
from typing import NamedTuple

import jax
import numpy as np

from .. import data, steps
from ..config import RunConfig
from ..doctor.groups import stereocentres
from ..doctor.molecule import kinds
from ..potentials import saved, splines
from ..potentials.base import Potential
from ..potentials.terms import terms
from ..simulate import Molecule
from ..store import kernels, load_tree, read_json
from ..store.files import plain
from .source import ExportError, Found

CHECKED = 4
"""Frames by which an export is checked."""


class Source(NamedTuple):
    """molecule: the beads; labels: their species in words; start: (C, N, 3) nm; priors: their parameters for a manifest;
    dihedrals: name -> four beads; handed: whether an atom of the molecule is a stereocentre."""

    config: RunConfig
    potential: Potential
    params: object
    molecule: Molecule
    labels: tuple[str, ...]
    start: np.ndarray
    priors: dict
    dihedrals: dict[str, tuple[int, int, int, int]] = {}
    handed: bool = False


def load(found: Found) -> Source:
    """The potential that ran. Raises ExportError where it would be another one here."""
    config = found.config
    reference = steps.load(config)
    if found.manifest and (was := found.manifest["data"]["train"]) != data.frames_hash(reference.split.train):
        raise ExportError(f"{found.run}: learnt from other frames ({was}) than {config.data.reference} has here now")
    trained, params = _trained(found, reference)
    potential, params, priors = steps.with_priors(config, reference, trained, params)
    if found.manifest:
        here = {room: kernels.version(room) for room in potential.rooms}
        if here != (was := {room: found.manifest["kernels"].get(room) for room in here}):
            raise ExportError(f"{found.run}: ran with kernels {was}, here they are {here}; run the notebook again")
    beads = reference.beads
    few = replace(config, md=replace(config.md, replicas=CHECKED))
    start = np.asarray(steps.initial_positions(few, reference), float)
    labels = tuple(beads.species_names[s] for s in beads.species)
    handed = any(stereocentres(molecule) for molecule in kinds(beads, reference.topology))
    molecule = steps.molecule(reference)
    return Source(config, potential, params, molecule, labels, start, priors, beads.dihedrals, handed)


def _trained(found: Found, reference: steps.Reference) -> tuple[Potential, dict]:
    """The potential without priors, and its parameters."""
    if found.config.kind == "spline":
        knots = splines.for_frames(terms(reference.beads), reference.split.train, found.config.potential)
        potential = splines.build(knots, liquid=reference.liquid)
        if plain(potential.identity) != read_json(found.trained / "config.json")["config"]["potential"]:
            raise ExportError(f"{found.trained}: splines of other knots than the reference gives here")
        return potential, load_tree(found.trained / "params.npz")
    model, potential, params = saved.read(found.trained)
    if model.species != tuple(reference.beads.species):
        raise ExportError(f"{found.run}: a network for other beads than map {found.config.data.map!r} has here")
    return potential, params


def exact(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Energies (C,) kJ/mol and forces (C, N, 3) kJ/mol/nm of the start, in double precision."""
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: np.asarray(a, np.float64), source.params)
        slope = jax.jit(jax.value_and_grad(lambda x: source.potential.energy(params, x, source.molecule.box)))
        energies, slopes = zip(*(jax.tree.map(np.asarray, slope(x)) for x in source.start), strict=True)
    return np.array(energies), -np.array(slopes)


def about(source: Source, found: Found) -> dict:
    """What a manifest says of where a potential is from."""
    config = source.config
    known = {"run": str(found.run), "trained": str(found.trained), "config": config.resolved()}
    made = found.manifest or {}
    known |= {name: made.get(name) for name in ("id", "data", "kernels", "made_of")}
    return known | {"priors": source.priors, "potential": _kinds(source.potential), "md": asdict(config.md)}


def _kinds(potential: Potential) -> list[str]:
    parts = [_kinds(term) for term in potential.terms] or [[_kind(potential.identity)]]
    return [kind for part in parts for kind in part]


def _kind(identity) -> str:
    return (identity[0] if isinstance(identity, list) else identity)["kind"]
