"""mace-torch: the network as a .model file in eV and Å, which it opens by itself; priors stay with cgcore beside it."""

import json
from pathlib import Path

import numpy as np

from ..config import RunConfig
from .folder import SCRIPT, read
from .source import ExportError
from .targets import needs, numbers

NETWORK = "network.model"


def check(config: RunConfig):
    """Raise ExportError for a potential that mace-torch has not, or where it is not installed."""
    instead = "export to ase or openmm instead"
    if config.kind != "mace":
        raise ExportError(f"mace-torch has no {config.kind} potentials; {instead}")
    option = "edges by the kind of bond" if config.potential.bond_types else 'symmetry = "SO3"'
    if config.potential.bond_types or config.potential.symmetry != "O3":
        raise ExportError(f"mace-torch has no networks with {option}; {instead}")
    needs("mace", "mace-torch", "; it brings torch, some gigabytes")


def write(folder: Path, source) -> str:
    """Write network.model and run.py; the words for README.md."""
    import torch

    from .ase import RUN

    network, *_ = source.potential.terms or (source.potential,)
    params = source.params[0] if source.potential.terms else source.params
    torch.save(module(network.model, params), folder / NETWORK)
    (folder / SCRIPT).write_text(RUN.format(module="mace_torch", **numbers(source)), encoding="utf-8")
    species = dict(sorted(zip(network.model.species, source.labels, strict=True)))
    kinds = ", ".join(f"{label} {s + 1}" for s, label in species.items())
    words = f"""```bash
uv sync --extra mace-torch
python {SCRIPT}          # a short Langevin run in ASE
```

`{NETWORK}` is a ScaleShiftMACE in double precision, in eV and Å, for `mace.calculators.MACECalculator`. The species are called
by "atomic numbers": {kinds}. """
    if not source.priors:
        return words + "It is the whole potential."
    return words + (
        f"**It is the network alone**: mace-torch cannot carry priors ({', '.join(source.priors)}), without which simulations "
        "get where it was never trained. `cgcore.export.mace_torch.calculator(folder)` is the sum of both."
    )


def module(model, params: dict):
    """mace-torch's network with the weights of ours, in eV and Å."""
    import torch
    from mace import modules

    from ..potentials.mace import to_mace_torch

    from e3nn import o3  # after mace, which lets a present torch read e3nn's constants  # isort: skip

    arrays = to_mace_torch(model, params, angstrom_ev=True)
    c = json.loads(str(arrays["config"]))
    same = ("r_max", "num_bessel", "num_polynomial_cutoff", "max_ell", "num_interactions", "num_elements")
    same += ("avg_num_neighbors", "atomic_numbers", "correlation")
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        made = modules.ScaleShiftMACE(
            **{name: c[name] for name in same},
            interaction_cls=modules.interaction_classes[c["interaction_cls"]],
            interaction_cls_first=modules.interaction_classes[c["interaction_cls_first"]],
            hidden_irreps=o3.Irreps(c["hidden_irreps"]),
            MLP_irreps=o3.Irreps(c["MLP_irreps"]),
            radial_MLP=[model.config.radial_width] * 3,
            atomic_energies=np.zeros(c["num_elements"]),
            gate=torch.nn.functional.silu,
            use_reduced_cg=False,
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
        )
    finally:
        torch.set_default_dtype(usual)
    weights = {name[6:]: torch.tensor(array) for name, array in arrays.items() if name.startswith("param:")}
    left = made.load_state_dict(weights, strict=False)
    missing = set(left.missing_keys) & {name for name, p in made.named_parameters() if p.numel()}
    if missing or left.unexpected_keys:
        raise ExportError(f"mace-torch's network lacks {left.unexpected_keys} and wants {sorted(missing)}")
    return made


def calculator(folder: Path):
    """The potential that ran, for ASE: mace-torch's network in double precision, and the priors by cgcore."""
    from ase.calculators.mixing import SumCalculator
    from mace.calculators import MACECalculator

    from .ase import BeadCalculator

    exported = read(folder)
    network = MACECalculator(model_paths=str(Path(folder) / NETWORK), device="cpu", default_dtype="float64")
    if len(exported.terms) == 1:
        return network
    return SumCalculator([network, BeadCalculator(exported, terms=slice(1, None))])


def atoms(folder: Path):
    """The start as `ase.Atoms`, with "atomic numbers" of the species, masses of the beads, and the calculator."""
    from .ase import structure

    exported = read(folder)
    beads = structure(exported, np.array(exported.terms[0][0].model.species) + 1)
    beads.calc = calculator(folder)
    return beads
