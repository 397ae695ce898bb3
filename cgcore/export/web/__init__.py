"""Pages: the potential as one WebAssembly module, engine.wasm, with a script that steers it and a model file.

`engine.c` is energy, forces and Langevin steps; `weights.py` writes what it reads; `build.py` compiles it.
"""

import base64
from importlib import resources
from pathlib import Path

from .model import model, model_script, script

__all__ = ["check", "model_script", "write"]

FILES = "engine.js", "engine.wasm"


def check(config):
    """What will not do is found in the potential itself."""


def write(folder: Path, source) -> str:
    """Write model.js, engine.js, engine.wasm and it as a script; the words for README.md."""
    here = resources.files(__package__)
    for name in FILES:
        (folder / name).write_bytes(here.joinpath(name).read_bytes())
    wasm = base64.b64encode(here.joinpath("engine.wasm").read_bytes()).decode()
    (folder / "engine.wasm.js").write_text(f'self.CgWasm = "{wasm}";\n', encoding="utf-8")
    title = f"{source.config.system}, map {source.config.data.map}"
    (folder / "model.js").write_text(script("model", model(source, title)), encoding="utf-8")
    return """```html
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
