"""What a Python is to be good for: every module of cgcore and cgbook loads, and a small network trains and simulates."""

import importlib
import pkgutil
import platform
import tempfile
from pathlib import Path

import cgbook
import cgcore
from cgcore import steps

for package in (cgcore, cgbook):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

with tempfile.TemporaryDirectory() as folder:
    config = steps.configure("amino_acids", epochs=30, frames=400, replicas=4, length_ps=2.0, nu=1, layers=1)
    reference = steps.load(config)
    fitted = steps.fit(config, reference, Path(folder))
    simulated = steps.simulate_protocol(config, reference, fitted, Path(folder))

whole, kelvin = simulated.table["n_frames"], simulated.table["temperature_K"]
if not (whole > simulated.table["n_frames_excluded"] and 200 < kelvin < 400):
    raise SystemExit(
        f"want a molecule of some 300 K that stays whole, got {kelvin:.0f} K and {whole} whole frames of 16"
    )
print(f"Python {platform.python_version()}: all modules; a network trained and simulated at {kelvin:.0f} K")
