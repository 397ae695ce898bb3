# /// script
# requires-python = ">=3.11"
# dependencies = ["mace-torch==0.3.16", "symmetrix-xl-cpu-avx512==0.1.1", "torch==2.13.0"]
#
# [tool.uv]
# exclude-newer = "2026-11-15T00:00:00Z"
# ///
"""Symmetrix-XL and mace-torch through their calculators for ASE, with the weights and frames that `engine_peers` lays out.

Run by `uv run --script`, which makes an environment from the lines above: mace-torch pins e3nn 0.4.4 and brings torch, and
nothing else here should have to. A first run installs torch (a gigabyte of CUDA comes with it where only the registry's
wheel is found), and Symmetrix-XL compiles code for each new model, within a quarter of an hour on an idle core; it keeps
that in SYMMETRIX_JIT_CACHE, ~/.cache/symmetrix if unset.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from mace import modules
from mace.calculators import MACECalculator
from symmetrix import Symmetrix, jit
from symmetrix.extract_mace_data import extract_mace_data
from turns import serve

EV, ANGSTROM = 96.48533212, 0.1
"""kJ/mol, nm"""


def network(path: Path) -> torch.nn.Module:
    """mace-torch's network from arrays in its layout (`cgcore.potentials.mace.to_mace_torch`), in double precision."""
    from e3nn import o3  # after mace, which lets a present torch read e3nn's constants

    torch.set_default_dtype(torch.float64)
    arrays = dict(np.load(path))
    c = json.loads(str(arrays["config"]))
    weights = {name.removeprefix("param:"): torch.tensor(a) for name, a in arrays.items() if name.startswith("param:")}
    as_given = ("r_max", "num_bessel", "num_polynomial_cutoff", "max_ell", "num_interactions", "num_elements")
    as_given += ("avg_num_neighbors", "atomic_numbers", "correlation")
    made = modules.ScaleShiftMACE(
        **{name: c[name] for name in as_given},
        interaction_cls=modules.interaction_classes[c["interaction_cls"]],
        interaction_cls_first=modules.interaction_classes[c["interaction_cls_first"]],
        hidden_irreps=o3.Irreps(c["hidden_irreps"]),
        MLP_irreps=o3.Irreps(c["MLP_irreps"]),
        radial_MLP=[a.shape[1] for name, a in weights.items() if name.startswith("interactions.0.conv_tp_weights")][
            :-1
        ],
        atomic_energies=np.zeros(c["num_elements"]),
        gate=torch.nn.functional.silu,
        use_reduced_cg=False,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    left = made.load_state_dict(weights, strict=False)
    missing = set(left.missing_keys) & {name for name, p in made.named_parameters() if p.numel()}
    if missing or left.unexpected_keys:
        raise SystemExit(f"{path}: parameters that mace-torch lacks: {left.unexpected_keys}; that it wants: {missing}")
    return made


def symmetrix(folder: Path) -> Symmetrix:
    for function in vars(jit).values():  # a slow core needs longer to compile than the ten minutes that it is given
        if "compile_timeout" in (getattr(function, "__kwdefaults__", None) or ()):
            function.__kwdefaults__["compile_timeout"] = 3600.0
    torch.save(network(folder / "nu3.npz"), folder / "nu3.model")
    data = folder / "symmetrix.json"
    # Its usual 256 points leave an error of 0.15 % in the forces of these networks, 1024 one of 2e-5.
    data.write_text(json.dumps(extract_mace_data(folder / "nu3.model", num_spline_points=1024)))
    return Symmetrix(data, dtype="float32")


def mace_torch(folder: Path) -> MACECalculator:
    return MACECalculator(models=network(folder / "nu2.npz"), device="cpu", default_dtype="float32")


def main(peer: str, folder: Path):
    started = time.perf_counter()
    frames = np.load(folder / "frames.npz")
    box, periodic = frames["box"], bool(np.isfinite(frames["box"]).all())
    cell = {"cell": box / ANGSTROM, "pbc": True} if periodic else {}
    atoms = Atoms(numbers=frames["numbers"], **cell)
    atoms.calc = {"symmetrix": symmetrix, "mace_torch": mace_torch}[peer](folder)

    def call(position: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces (N, 3), kJ/mol/nm, at (N, 3) nm."""
        atoms.positions = position / ANGSTROM
        forces = atoms.get_forces()
        return EV * atoms.get_potential_energy(), EV / ANGSTROM * forces

    call(frames["apart"][0])
    ready_s = time.perf_counter() - started
    energy, force = zip(*map(call, frames["apart"]), strict=True)
    np.savez(folder / f"{peer}_force.npz", energy=energy, force=force)
    following = itertools.cycle(frames["following"])
    serve({"ready_s": ready_s}, {"force": lambda: call(next(following))})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
