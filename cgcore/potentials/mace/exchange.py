"""Models in and out of mace-torch's layout: arrays "param:<name>", "buffer:<name>" and a JSON "config"."""

import json
import re

import jax.numpy as jnp
import numpy as np

from cgcore.errors import CgcoreError

from ...config import MACEConfig, from_dict
from ..base import Potential
from .couplings import contraction_basis
from .network import HIDDEN_MAX_ELL, Model, build, shapes

FIXED = {
    "radial_type": "bessel",
    "gate": "silu",
    "interaction_cls": "RealAgnosticResidualInteractionBlock",
    "interaction_cls_first": "RealAgnosticInteractionBlock",
}
"""What this network is; a model with other settings is another network."""

SETTINGS = (
    "r_max",
    "num_bessel",
    "num_polynomial_cutoff",
    "max_ell",
    "num_interactions",
    "hidden_irreps",
    "MLP_irreps",
    "avg_num_neighbors",
    "atomic_numbers",
    "correlation",
)
"""What the config must hold besides."""

RADIAL_INPUT = "interactions.0.conv_tp_weights.layer0.weight"

EV = 96.48533212
"""One eV in kJ/mol."""


class ExchangeError(CgcoreError, ValueError):
    """Arrays that are no MACE of this kind, with what was wanted and what was found."""


def from_mace_torch(arrays) -> tuple[Potential, dict]:
    """(potential, params) of a mace-torch model in the file's own units; see `read_mace_torch`."""
    model, params = read_mace_torch(arrays)
    return build(model), params


def read_mace_torch(arrays) -> tuple[Model, dict]:
    """(model, params) of a mapping of arrays in mace-torch's layout, with "numbers" (N,) for the species of the beads.

    Cut-off, widths and species come from the arrays; lengths and energies stay in the file's units, so the cut-off that
    is called cutoff_nm is r_max. Raises ExchangeError for settings, parameters or contraction bases that differ from
    this network's.
    """
    if missing := [name for name in ("config", "numbers", f"param:{RADIAL_INPUT}") if name not in arrays]:
        raise ExchangeError(f"arrays: {missing} are missing; is this a model in mace-torch's layout?")
    found = json.loads(str(arrays["config"]))
    if missing := [name for name in SETTINGS if name not in found]:
        raise ExchangeError(f"config: {missing} are missing, found {sorted(found)}")
    for key, value in FIXED.items():
        if found.get(key, value) != value:
            raise ExchangeError(f"config {key}: want {value}, found {found[key]}")
    params = {name[6:]: jnp.asarray(arrays[name]) for name in arrays if name.startswith("param:")}
    kinds = list(found["atomic_numbers"])
    if strangers := sorted({int(z) for z in arrays["numbers"]} - set(kinds)):
        raise ExchangeError(f"numbers: {strangers} are not among the model's species {kinds}")
    scale, shift = _scale_shift(found)
    if shift:
        raise ExchangeError(
            f"want a model without energy shift, found {shift}; subtract the isolated-atom energies first"
        )
    config = from_dict(
        MACEConfig,
        {
            "correlation": found["correlation"],
            "layers": found["num_interactions"],
            "cutoff_nm": found["r_max"],
            "channels": _channels(found["hidden_irreps"]),
            "max_ell": found["max_ell"],
            "n_bessel": found["num_bessel"],
            "envelope_power": found["num_polynomial_cutoff"],
            "radial_width": params[RADIAL_INPUT].shape[1],
            "readout_width": int(found["MLP_irreps"].split("x")[0]),
        },
    )
    model = Model(
        config=config,
        species=tuple(kinds.index(z) for z in arrays["numbers"]),
        n_species=len(kinds),
        mean_neighbours=found["avg_num_neighbors"],
        energy_scale=scale,
    )
    _check(model, params, arrays)
    return model, params


def to_mace_torch(
    model: Model, params: dict, *, kinds: tuple[int, ...] | None = None, angstrom_ev: bool = False
) -> dict[str, np.ndarray]:
    """The arrays of a mace-torch model that gives this model's energies; the energy scale goes into the readouts.

    kinds: the "atomic numbers" to call the species, 1 ... n_species by default. angstrom_ev: rescale from nm and kJ/mol
    to Å and eV (exactly: the Bessel functions scale as length^(-3/2)), as mace-torch's own tools expect.
    Raises ExchangeError for options that mace-torch does not have.
    """
    if not model.parity or model.config.bond_types:
        option = "bond_types" if model.parity else 'symmetry = "SO3"'
        raise ExchangeError(f"mace-torch has no such network: want a model without {option}")
    length, energy = (10.0, model.energy_scale / EV) if angstrom_ev else (1.0, model.energy_scale)
    c, k = model.config, model.config.channels
    kinds = tuple(range(1, model.n_species + 1)) if kinds is None else tuple(kinds)
    if len(set(kinds)) != model.n_species or list(kinds) != sorted(kinds):
        raise ExchangeError(f"kinds: want {model.n_species} different numbers in rising order, got {kinds}")
    out = {}
    for name in shapes(model):
        value = np.asarray(params[name], np.float64)
        if name.endswith("conv_tp_weights.layer0.weight"):
            value = value * length**1.5
        if re.fullmatch(r"readouts\.\d+\.(linear|linear_2)\.weight", name):
            value = value * energy
        out[f"param:{name}"] = value
    for layer in range(c.layers):
        for ell in model.out_ells(layer):
            for degree in range(1, c.correlation + 1):
                out[_basis_name(layer, ell, degree)] = _basis(c.max_ell, degree, ell)
    settings = FIXED | {
        "r_max": c.cutoff_nm * length,
        "num_bessel": c.n_bessel,
        "num_polynomial_cutoff": c.envelope_power,
        "max_ell": c.max_ell,
        "num_interactions": c.layers,
        "num_elements": model.n_species,
        "hidden_irreps": f"{k}x0e+{k}x1o",
        "MLP_irreps": f"{c.readout_width}x0e",
        "avg_num_neighbors": model.mean_neighbours,
        "atomic_numbers": list(kinds),
        "correlation": c.correlation,
        "model": "ScaleShiftMACE scale=1 shift=0",
    }
    numbers = np.array([kinds[s] for s in model.species])
    return out | {"config": np.array(json.dumps(settings)), "numbers": numbers}


def _scale_shift(found: dict) -> tuple[float, float]:
    words = dict(re.findall(r"(scale|shift)=(\S+)", found.get("model", "")))
    return float(words.get("scale", 1.0)), float(words.get("shift", 0.0))


def _channels(irreps: str) -> int:
    """32 of "32x0e+32x1o"; other hidden features are another network."""
    blocks = re.findall(r"(\d+)x(\d+)([eo])", irreps)
    wanted = [(str(ell), "eo"[ell % 2]) for ell in range(HIDDEN_MAX_ELL + 1)]
    if [block[1:] for block in blocks] != wanted or len({block[0] for block in blocks}) != 1:
        raise ExchangeError(f"hidden_irreps: want Kx0e+Kx1o, found {irreps}")
    return int(blocks[0][0])


def _check(model: Model, params: dict, arrays):
    wanted, found = shapes(model), {name: value.shape for name, value in params.items()}
    if wanted != found:
        wrong = sorted({n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n)})
        raise ExchangeError(
            f"parameters that do not fit the config: {[(n, wanted.get(n), found.get(n)) for n in wrong[:5]]} "
            "(name, wanted, found)"
        )
    for name in arrays:
        if match := re.fullmatch(r"buffer:products\.(\d+)\..*contractions\.(\d+)\.U_matrix_(\d+)", name):
            _, ell, degree = map(int, match.groups())
            basis = _basis(model.config.max_ell, degree, ell)
            if basis.shape != arrays[name].shape or not np.allclose(basis, arrays[name], atol=1e-6):
                raise ExchangeError(f"{name}: another basis of the symmetric contraction (a reduced or cueq one?)")


def _basis(max_ell: int, degree: int, ell: int) -> np.ndarray:
    """The U matrix as mace-torch stores it: no component axis for scalars."""
    basis = contraction_basis(max_ell, degree, ell)
    return basis[0] if ell == 0 else basis


def _basis_name(layer: int, ell: int, degree: int) -> str:
    return f"buffer:products.{layer}.symmetric_contractions.contractions.{ell}.U_matrix_{degree}"
