"""From finished runs of the amino-acid notebook to what the chapter reads: small tables, surfaces, pictures."""

from pathlib import Path

import matplotlib.pyplot as plt

from cgcore import mapping, plots, store
from cgcore.book import results

REFERENCE = "reference"
VMAX = 15.0  # kJ/mol, the top of the colour scale
TYPING_LABELS = {"study": "", "unique": ", all species different", "single": ", one species"}
FIT_KEYS = ("force_mae_meV_per_A", "force_rmse_meV_per_A", "updates", "updates_per_s")
MD_KEYS = ("n_replicas_failed", "temperature_K", "ns_per_day_aggregate")


def collect(runs: list[Path], folder: Path) -> list[Path]:
    """Write the tables and surfaces of finished runs, and of the reference they share, to `folder`; draw the pictures.

    runs: folders of `run_notebook` with result.json, fit/ and md/. Each becomes <map>[_<typing>].json, with the manifests
    of its fit and its simulation, and .npz with its surface. Returns what was written. Raises StoreError for a run that
    is not finished.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for run in runs:
        fit, md = manifests(run)
        surfaces = store.read_npz(run / "md" / md["id"] / "ramachandran.npz")
        theirs = {name: array for name, array in surfaces.items() if name.startswith("reference_")}
        written += _write(folder, _stem(fit), _result(fit, md), {n: a for n, a in surfaces.items() if n not in theirs})
        theirs = {name.removeprefix("reference_"): array for name, array in theirs.items()}
        edges = {name: surfaces[name] for name in ("edges", "marginal_edges")}
        written += _write(folder, REFERENCE, _reference(md), theirs | edges)
    return sorted(set(written)) + [draw_surfaces(folder), draw_marginals(folder)]


def manifests(run: Path) -> tuple[dict, dict]:
    """The manifests of the fit and of the simulation of one run."""
    if not (run / "executed.ipynb").is_file():
        raise store.StoreError(
            f"{run}: want a finished run with executed.ipynb; an unfinished one goes on when run again"
        )
    made = store.read_json(run / "result.json")
    return tuple(store.read_json(run / kind / made[kind] / "manifest.json") for kind in ("fit", "md"))


def draw_surfaces(folder: Path) -> Path:
    """ramachandran.png: the free energy surfaces of the folder's results side by side, on one scale."""
    found = results.load(folder)
    with plots.style():
        figure, axes = plt.subplots(1, len(found), figsize=(3.4 * len(found) + 0.6, 3.7), sharey=True, squeeze=False)
        for ax, (stem, result) in zip(axes[0], found.items(), strict=True):
            surface = store.read_npz(folder / f"{stem}.npz")
            title = f"{result.label} ({result.table['ns']:.3g} ns)"
            mesh = plots.ramachandran(ax, surface["F"], surface["edges"], title=title, vmax=VMAX, colourbar=False)
            ax.label_outer()
        plots.free_energy_bar(list(axes[0]), mesh)
    return _save(figure, folder / "ramachandran.png")


def draw_marginals(folder: Path) -> Path:
    """marginals.png: the densities of phi and psi with standard errors, all results in one picture."""
    found = results.load(folder)
    with plots.style():
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
        for number, (stem, result) in enumerate(found.items()):
            surface = store.read_npz(folder / f"{stem}.npz")
            colour = plots.REFERENCE_COLOUR if stem == REFERENCE else plots.PALETTE[number]
            for ax, angle in zip(axes, ("phi", "psi"), strict=True):
                density, error = surface[f"{angle}_density"], surface[f"{angle}_density_error"]
                plots.marginals(ax, surface["marginal_edges"], density, error, angle, label=result.label, color=colour)
        axes[1].set_ylabel("")
        axes[1].get_legend().remove()
    return _save(figure, folder / "marginals.png")


def _result(fit: dict, md: dict) -> dict:
    table, dynamics = md["results"]["ramachandran"], md["results"]["dynamics"]
    numbers = {k: v for k, v in table.items() if k != REFERENCE}
    numbers |= {k: fit["results"][k] for k in FIT_KEYS} | {k: dynamics[k] for k in MD_KEYS}
    numbers |= {"training_s": fit["results"]["wall_s"], "simulation_s": dynamics["wall_s"]}
    data = fit["config"]["data"]
    sampling = (
        f"{dynamics['replicas']} replicas of {dynamics['length_ps']:g} ps, {table['n_frames_excluded']} of "
        f"{table['n_frames'] + table['n_frames_excluded']} frames excluded"
    )
    label = data["map"].replace("_", " ").title() + TYPING_LABELS[data["typing"]]
    names = list(dict.fromkeys(a.map for a in mapping.available()))
    return {
        "label": label,
        "order": names.index(data["map"]),
        "sampling": sampling,
        "table": numbers,
        "manifest": {"fit": fit, "md": {k: v for k, v in md.items() if k != "results"}},
    }


def _reference(md: dict) -> dict:
    table = md["results"]["ramachandran"][REFERENCE]
    sampling = f"one atomistic run of {table['ns']:.3g} ns, {table['n_frames']} frames"
    manifest = {"data": md["data"], "versions": md["versions"], "git": md["git"]}
    return {"label": "Reference", "order": 99, "sampling": sampling, "table": table, "manifest": manifest}


def _stem(fit: dict) -> str:
    data = fit["config"]["data"]
    return data["map"] if data["typing"] == "study" else f"{data['map']}_{data['typing']}"


def _write(folder: Path, stem: str, result: dict, surface: dict) -> list[Path]:
    paths = [folder / f"{stem}.json", folder / f"{stem}.npz"]
    store.write_json(paths[0], result)
    store.write_npz(paths[1], **surface)
    return paths


def _save(figure, path: Path) -> Path:
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
