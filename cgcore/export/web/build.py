"""Make engine.wasm of engine.c: `python -m cgcore.export.web.build`, with ziglang (a wheel) as the compiler.

The file beside this is what comes out of ZIGLANG; another version of the compiler makes another file.
"""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ZIGLANG = "0.17.1"
HERE = Path(__file__).parent
WASM = HERE / "engine.wasm"
FLAGS = ("-target", "wasm32-freestanding", "-O3", "-msimd128", "-mbulk-memory", "-ffp-contract=off", "-nostdlib")
FLAGS += ("-Wall", "-Wextra", "-Wl,--no-entry", "-Wl,--strip-all")


def build(out: Path = WASM) -> Path:
    """Compile engine.c; the file. Raises CalledProcessError for code that does not compile."""
    with tempfile.TemporaryDirectory() as cache:
        known = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        compiler = [sys.executable, "-m", "ziglang", "cc"]
        subprocess.run([*compiler, *FLAGS, "-o", str(out.resolve()), "engine.c"], cwd=HERE, env=known, check=True)
    out.chmod(0o644)
    return out


if __name__ == "__main__":
    if version("ziglang") != ZIGLANG:
        raise SystemExit(f"want ziglang {ZIGLANG}, found {version('ziglang')}: the committed file is of that version")
    build()
