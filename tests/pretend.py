"""Folders of hexane runs as the notebook leaves them, with numbers made up or measured elsewhere."""

from pathlib import Path

import nbformat
import numpy as np

from cgcore import store

PARAMETERS = {
    "profile": "laptop",
    "map": "three_site",
    "typing": "study",
    "potential": "mace",
    "nu": 2,
    "layers": None,
    "cutoff_nm": None,
    "bond_types": False,
    "prior": "none",
    "force_map": "sum",
    "seed": 22,
}
QUANTITIES = {
    "four_site": ("dihedral_ABBA", np.linspace(-np.pi, np.pi, 73)),
    "three_site": ("angle_ABA", np.linspace(0, np.pi, 91)),
    "two_site": ("bond_AA", np.linspace(0.24, 0.53, 101)),
}
LIQUID = {
    "n_replicas": 4,
    "n_frames": 390,
    "n_frames_excluded": 10,
    "ns": 0.195,
    "stable_ps": 48.8,
    "stable_ps_sd": 2.5,
}
LIQUID |= {"g_AA_mse": 0.4, "g_AA_mse_error": 0.05, "g_AA_mse_sd": 0.1}
DYNAMICS = {"replicas": 4, "length_ps": 50.0, "wall_s": 20.0, "ns_per_day_per_replica": 120.5, "temperature_K": 300.2}


def bells(map: str, width: float) -> dict[str, np.ndarray]:
    """A bell for each quantity, of a run (of that width) and of the reference."""
    name, edges = QUANTITIES[map]
    x = (edges[1:] + edges[:-1]) / 2
    arrays = {"r": np.linspace(0.005, 1.395, 140), f"{name}_edges": edges, "nearest_edges": edges}
    for prefix, w in (("", width), ("reference_", 1.0)):
        bell = np.exp(-0.5 * ((x - x.mean()) / (w * np.ptp(x) / 8)) ** 2)
        bell /= (bell * np.diff(edges)).sum()
        g = 1 / (1 + np.exp(-40 * w * (arrays["r"] - 0.5)))
        g[:30] = 0
        for key, curve in ((name, bell), ("nearest", bell), ("g_AA", g)):
            arrays |= {f"{prefix}{key}": curve, f"{prefix}{key}_sd": 0.02 * curve, f"{prefix}{key}_error": 0.01 * curve}
    return arrays


def run(root: Path, arrays: dict, liquid: dict | None = None, **parameters) -> Path:
    """One finished run."""
    folder = root / f"run_{len(list(root.glob('run_*')))}"
    complete = PARAMETERS | parameters
    updates = {"updates": 500 * complete["epochs"]} if complete.get("epochs") else {}
    for kind, results in (
        ("fit", {"force_mae_meV_per_A": 415.0, "force_rmse_meV_per_A": 540.0, "wall_s": 30.0} | updates),
        ("md", {"liquid": LIQUID | {"reference": {"gauche_ABBA": 0.17}} | (liquid or {}), "dynamics": DYNAMICS}),
    ):
        (folder / kind / "abc").mkdir(parents=True)
        manifest = {"id": "abc", "results": results, "wall_s": 30.0, "data": {}, "versions": {}, "git": None}
        store.write_json(folder / kind / "abc" / "manifest.json", manifest)
    store.write_npz(folder / "md" / "abc" / "hexane.npz", **arrays)
    noise = 415 + np.random.default_rng(0).normal(size=(20, 2)) + (2 if complete["potential"] == "spline" else 0)
    store.write_npz(folder / "fit" / "abc" / "held_out.npz", errors=noise, time=np.arange(20.0))
    store.write_json(folder / "result.json", {"fit": "abc", "md": "abc"})
    notebook = nbformat.v4.new_notebook(metadata={"cgcore": {"parameters": complete}})
    nbformat.write(notebook, folder / "executed.ipynb")
    return folder
