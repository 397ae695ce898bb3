"""engine.wasm in wasmtime, for tests; and how fast it is there and in headless Chromium.

python benchmarks/web_engine.py book/results/amino_acids/models/926d73861388.npz
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import wasmtime

WASM = Path(__file__).parents[1] / "cgcore" / "export" / "web" / "engine.wasm"
STRETCH, STRETCHES = 100, 60
"""Steps, and how many such stretches: the fastest counts, for others use the processor as well."""

PAGE = """<!doctype html><script src="engine.js"></script><script src="engine.wasm.js"></script><script src="model.js"></script>
<script>
(async () => {
  const model = CgModels.model, position = Object.values(model.starts)[0][0], began = performance.now();
  const engine = await CgEngine.create(CgWasm, model), ready_ms = performance.now() - began, stretches_ms = [];
  engine.start({position});
  for (let k = 0; k < STRETCHES; k++) {
    const start = performance.now();
    engine.step(STRETCH);
    stretches_ms.push(performance.now() - start);
  }
  fetch("http://127.0.0.1:PORT", {method: "POST", mode: "no-cors", body: JSON.stringify({ready_ms, stretches_ms})});
})();
</script>
"""


class Module:
    """One model in a module of its own; code: what `load` said."""

    def __init__(self, words: np.ndarray, wasm: Path = WASM):
        self.store = wasmtime.Store()
        instance = wasmtime.Instance(self.store, wasmtime.Module.from_file(self.store.engine, wasm), [])
        self.exports, raw = instance.exports(self.store), np.asarray(words, np.uint32).tobytes()
        self.memory = self.exports["memory"]
        at = self.call("reserve", len(raw))
        self.memory.write(self.store, raw, at)
        self.code, self.n = self.call("load", at, len(raw)), self.call("beads")

    def call(self, name: str, *arguments):
        return self.exports[name](self.store, *arguments)

    def array(self, name: str) -> np.ndarray:
        """A copy of positions, velocities or forces, (N, 3)."""
        at = self.call(name)
        return np.frombuffer(self.memory.read(self.store, at, at + 12 * self.n), np.float32).reshape(-1, 3)

    def write(self, name: str, values: np.ndarray):
        self.memory.write(self.store, np.asarray(values, np.float32).tobytes(), self.call(name))

    def evaluate(self, position: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces (N, 3), kJ/mol/nm."""
        self.write("positions", position)
        return self.call("evaluate"), self.array("forces").astype(float)

    def start(self, position, seed: int, kelvin=300.0, dt_ps=0.002, friction=100.0) -> float:
        self.write("positions", position)
        return self.call("start", seed, kelvin, dt_ps, friction)


def in_wasmtime(words: np.ndarray, position: np.ndarray) -> dict:
    began = time.perf_counter()
    module = Module(words)
    ready, stretches = time.perf_counter() - began, []
    module.start(position, 0)
    for _ in range(STRETCHES):
        start = time.perf_counter()
        module.call("steps", STRETCH)
        stretches.append(1000 * (time.perf_counter() - start))
    return {"ready_ms": 1000 * ready, "stretches_ms": stretches}


def in_chromium(folder: Path) -> dict:
    """What the page in a folder, a file, tells a port of this machine."""
    told = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            pass

    with (
        HTTPServer(("127.0.0.1", 0), Listener) as server,
        tempfile.TemporaryDirectory(
            ignore_cleanup_errors=True  # of a browser that is still closing
        ) as profile,
    ):
        page, server.timeout = folder / "speed.html", 120
        text = PAGE.replace("PORT", str(server.server_port)).replace("STRETCHES", str(STRETCHES))
        page.write_text(text.replace("STRETCH", str(STRETCH)))
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
        ]
        browser = subprocess.Popen(["chromium", *flags, page.as_uri()], stderr=subprocess.DEVNULL)
        try:
            server.handle_request()
        finally:
            browser.terminate()
            browser.wait()
    if not told:
        raise SystemExit("chromium told nothing within two minutes")
    return told[0]


def main(network: Path):
    from cgcore.export import web
    from cgcore.export.load import load
    from cgcore.export.source import find
    from cgcore.export.web.weights import words

    source = load(find(network))
    given = words(source.potential, source.params, source.molecule.mass, source.start, source.molecule.box)
    measured = {"wasmtime": in_wasmtime(given, source.start[0])}
    if shutil.which("chromium"):
        with tempfile.TemporaryDirectory() as name:
            web.write(Path(name), source)
            measured["chromium"] = in_chromium(Path(name))
    for where, found in measured.items():
        fast, usual = np.min(found["stretches_ms"]), np.median(found["stretches_ms"])
        per_second = ", ".join(f"{1000 * STRETCH / ms:.0f}" for ms in (fast, usual))
        print(f"{where}: {per_second} steps/s (fastest, median), ready after {found['ready_ms']:.0f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
