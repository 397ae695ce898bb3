"""ASE: a calculator in eV and Å, and the beads as Atoms."""

from pathlib import Path

import numpy as np

from ..potentials.mace.exchange import EV
from .folder import SCRIPT, Exported, read
from .forces import Forces
from .source import ExportError
from .targets import needs, numbers

needs("ase", "ase")
from ase import Atoms  # noqa: E402 - after words on how to install it
from ase.calculators.calculator import Calculator, all_changes  # noqa: E402

ANGSTROM = 0.1
"""nm"""

RUN = '''"""A Langevin run in ASE."""

from pathlib import Path

from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from cgcore.export.{module} import atoms

beads = atoms(Path(__file__).parent)
thermalize_momenta(beads, {temperature_K})
md = Langevin(beads, {dt_fs} * units.fs, temperature_K={temperature_K}, friction={friction_per_ps} / (1000 * units.fs))
md.attach(lambda: print(f"{{md.get_time() / units.fs:8.0f}} fs {{beads.get_temperature():6.0f}} K"), interval=100)
md.run(1000)
'''


class BeadCalculator(Calculator):
    """Energy and forces of the beads of a folder; the cell of a liquid is the box, and the energy is that of a minimum image.

    Args:
        folder: of `cgcore export --to ase`, or of any other target.
        fast: single precision and the form that simulates here, as of `Forces`.
        terms: the terms to take, as a slice of the folder's.
    """

    implemented_properties = ["energy", "free_energy", "forces"]

    def __init__(self, folder: Path | Exported, *, fast: bool = False, terms: slice = slice(None), **more):
        super().__init__(**more)
        exported = folder if isinstance(folder, Exported) else read(folder)
        self.forces = Forces(exported, fast=fast, terms=terms)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        box = np.full(3, np.inf)
        if self.atoms.pbc.any():
            if not self.atoms.pbc.all() or np.any(self.atoms.cell.angles() != 90):
                raise ExportError(f"want a rectangular cell that is periodic along all sides, got {self.atoms.cell}")
            box = ANGSTROM * self.atoms.cell.lengths()
        energy, force = self.forces(ANGSTROM * self.atoms.positions, box)
        self.results = {"energy": energy / EV, "free_energy": energy / EV, "forces": ANGSTROM / EV * force}


def calculator(folder: Path, **more) -> BeadCalculator:
    """The calculator of a folder; arguments as of `BeadCalculator`."""
    return BeadCalculator(folder, **more)


def atoms(folder: Path, **more) -> Atoms:
    """The start as Atoms "X" with masses of the beads, names and species in `arrays`, and the calculator attached."""
    exported = read(folder)
    beads = structure(exported)
    beads.calc = calculator(exported, **more)
    return beads


def structure(exported: Exported, numbers: np.ndarray | None = None) -> Atoms:
    """The start as Atoms without a calculator; numbers: (N,) "atomic numbers", 0 by default."""
    of, cell = exported.beads, {}
    if of.periodic:
        cell = {"cell": of.box / ANGSTROM, "pbc": True}
    numbers = np.zeros(len(of.names), int) if numbers is None else numbers
    beads = Atoms(numbers, positions=exported.position[0] / ANGSTROM, masses=of.mass, **cell)
    for name in ("names", "species"):
        beads.set_array(name, np.array(getattr(of, name)))
    beads.set_array("molecule", of.molecule)
    return beads


def check(config):
    """Any potential will do."""


def write(folder: Path, source) -> str:
    """Write run.py; the words for README.md."""
    (folder / SCRIPT).write_text(RUN.format(module="ase", **numbers(source)), encoding="utf-8")
    return f"""```bash
uv sync --extra ase      # or pip install ase
python {SCRIPT}          # a short Langevin run
```

`cgcore.export.ase.atoms(folder)` gives the start as `ase.Atoms` with its calculator, which works in eV and Å and compares its
energies with `check.npz` as it is made; `fast=True` computes in single precision, as simulations here do."""
