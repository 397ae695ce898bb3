"""Pages: the potential as one WebAssembly module, engine.wasm, with a script that steers it and a model file.

`engine.c` is energy, forces and Langevin steps; `weights.py` writes what it reads; `build.py` compiles it. `page.py` gives the
element that runs a model before a reader's eyes.
"""

from importlib import resources
from pathlib import Path

from ..source import ExportError
from . import page
from .model import model, script

__all__ = ["check", "write"]

FILES = "engine.js", "engine.wasm"
ANGLES = {"phi", "psi"}
"""Over which the element shows a surface."""


def check(config):
    """Raise ExportError for what is no MACE; what else will not do is found in the potential itself."""
    if config.kind != "mace":
        raise ExportError(f"web: want MACE, got {config.kind}; `--to ase` and `--to openmm` carry it")


def write(folder: Path, source) -> str:
    """Write model.js, the engine and, for a model with phi and psi, a page that runs it; the words for README.md."""
    here = resources.files(__package__)
    for name in FILES:
        (folder / name).write_bytes(here.joinpath(name).read_bytes())
    title, shown = f"{source.config.system}, map {source.config.data.map}", source.dihedrals.keys() >= ANGLES
    texts = page.files() | {"model.js": script("model", model(source, title))}
    for name, text in (texts | ({"index.html": page.index(title, "model")} if shown else {})).items():
        (folder / name).write_text(text, encoding="utf-8")
    return ("Open index.html by a double click: the model runs in the browser.\n\n" if shown else "") + WORDS


WORDS = """```html
<script src="engine.js"></script>
<script src="engine.wasm.js"></script>
<script src="model.js"></script>
<script>
  (async () => {
    const engine = await CgEngine.create(CgWasm, CgModels.model);
    engine.start({position: Object.values(CgModels.model.starts)[0][0], seed: 1});
    engine.step(1000); // engine.position, engine.energy, engine.timePs
  })();
</script>
```

A model that is damaged, or whose energies are others in this browser, is refused by `create`, which says why."""
