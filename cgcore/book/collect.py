"""What the collections of finished runs share: their manifests, and which numbers of a fit the chapters show."""

from pathlib import Path

from cgcore import store

FIT_KEYS = ("force_mae_meV_per_A", "force_rmse_meV_per_A", "updates", "updates_per_s")


def manifests(run: Path, kinds: tuple[str, ...] = ("fit", "md")) -> tuple[dict, ...]:
    """The manifests of the steps of one run, by default of its fit and its simulation. StoreError if it is not finished."""
    if not (run / "executed.ipynb").is_file():
        raise store.StoreError(
            f"{run}: want a finished run with executed.ipynb; an unfinished one goes on when run again"
        )
    made = store.read_json(run / "result.json")
    return tuple(store.read_json(run / kind / made[kind] / "manifest.json") for kind in kinds)
