"""The program gmx: found, called with its output in a log file, and its failures told in one message."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Event

from .errors import ReferenceRunError
from .protocol import RECIPES

NAMES = ("gmx", "gmx_mpi", "gmx_d")
OLDEST = 2021  # the first with stochastic cell rescaling
CHECKPOINT_MINUTES = 2
"""Wall time between checkpoints: what a killed run loses at most."""

END_WITH_PARENT = RECIPES / "end_with_parent.sh"
POLL_S = 0.2
SHELL_SIGNAL = 128  # a shell adds it to the number of the signal that ended its program
QUOTED = 20  # lines of the program's own output in an error

SLIPS = tomllib.loads((RECIPES / "slips.toml").read_text(encoding="utf-8"))
"""Likely slip by a pattern of what GROMACS says when it fails."""


def find_gmx(names: tuple[str, ...] = NAMES) -> Path:
    """Find GROMACS's program: $GMX, or the first of these names in $GMXBIN or on the PATH.

    Raises ReferenceRunError where there is none or it is too old, with how to install it.
    """
    install = "install it with `apt-get install gromacs` or `conda install -c conda-forge gromacs`"
    if named := os.environ.get("GMX"):
        gmx = shutil.which(named)
        if gmx is None:
            raise ReferenceRunError(f"GMX={named} is no program; want the path of gmx, or {install}")
    else:
        folder = os.environ.get("GMXBIN")
        gmx = next(filter(None, (shutil.which(name, path=folder) for name in names)), None)
        if gmx is None:
            searched = folder or "the PATH"
            raise ReferenceRunError(f"GROMACS was not found: none of {', '.join(names)} in {searched}; {install}")
    year = re.match(r"\d+", version(Path(gmx)))
    if year and int(year[0]) < OLDEST:
        raise ReferenceRunError(
            f"{gmx} is GROMACS {version(Path(gmx))}; want {OLDEST} or newer for its C-rescale barostat"
        )
    return Path(gmx)


@cache
def version(gmx: Path) -> str:
    """Return GROMACS's version, such as 2022.5-Debian_2022.5_2."""
    return _build_option(gmx, "GROMACS version")


def has_gpu(gmx: Path) -> bool:
    """Say whether it was built for one."""
    return _build_option(gmx, "GPU support") != "disabled"


@cache
def _build_option(gmx: Path, what: str) -> str:
    ended = subprocess.run([gmx, "--version"], capture_output=True, text=True, check=False)
    if answer := re.search(rf"^{what}:\s+(.*?)\s*$", ended.stdout, re.MULTILINE):
        return answer[1].removeprefix("VERSION ")
    raise ReferenceRunError(f"{gmx} --version says nothing of {what!r}: {ended.stdout[-200:]} {ended.stderr[-200:]}")


def call(gmx: Path, *words, folder: Path, answer: str = "") -> None:
    """Run `gmx words...` in a folder, its output into WORD.out there. Raises ReferenceRunError when it fails."""
    log = folder / f"{words[0]}.out"
    with open(log, "w") as out:
        ended = subprocess.run(
            _command(gmx, words), cwd=folder, input=answer, text=True, stdout=out, stderr=out, env=_env(), check=False
        )
    if ended.returncode:
        raise _failure(gmx, words, ended.returncode, log)


def mdrun(
    gmx: Path,
    name: str,
    *,
    folder: Path,
    last: int | None = None,
    threads: int = 1,
    device: str = "auto",
    on_step: Callable[[int], None] | None = None,
    stop: Event | None = None,
) -> bool:
    """Run name.tpr to its end, from name.cpt where there is one; False when `stop` was set before that.

    last: the step it ends at, None for a minimisation, which has no checkpoints; on_step: gets the last step in the
    log now and then. Raises ReferenceRunError when mdrun fails or somebody ended it.
    """
    stop = stop or Event()
    ranks = ("-ntmpi", 1) if _build_option(gmx, "MPI library") == "thread_mpi" else ()
    words = ("mdrun", "-deffnm", name, "-cpi", f"{name}.cpt", "-cpt", CHECKPOINT_MINUTES)
    words = (*words, *ranks, "-ntomp", int(os.environ.get("OMP_NUM_THREADS", threads)))
    words += ("-nb", "cpu") if device == "cpu" else ()
    out, log = folder / f"mdrun_{name}.out", folder / f"{name}.log"
    with open(out, "w") as file:
        child = subprocess.Popen(
            ["sh", END_WITH_PARENT, *_command(gmx, words)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=_env(),
            start_new_session=True,
        )
    try:
        while child.poll() is None and not stop.wait(POLL_S):
            if on_step:
                on_step(last_step(log))
    finally:
        child.stdin.close()  # mdrun writes a checkpoint then; nothing happens where it has ended
        child.wait()
    ended = last is not None and last_step(log) >= last
    if stop.is_set():
        return ended
    if child.returncode:
        raise _failure(gmx, words, child.returncode, out)
    if last is None or ended:
        if on_step:
            on_step(last)
        return True
    raise ReferenceRunError(f"{log}: ended at step {last_step(log)} of {last} by a signal; run again, it goes on there")


def last_step(log: Path) -> int:
    """Read the last step in the tail of a log of mdrun, 0 before the first."""
    if not log.is_file():
        return 0
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        steps = re.findall(rb"^ +Step +Time\n +(\d+) ", file.read(), re.MULTILINE)
    return int(steps[-1]) if steps else 0


def _command(gmx: Path, words) -> list[str]:
    return [str(gmx), "-nobackup", "-quiet", *(str(word) for word in words)]


def _env() -> dict[str, str]:
    """Threads are given on the command line; a second opinion in the environment stops mdrun."""
    return {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}


def _failure(gmx: Path, words, status: int, out: Path) -> ReferenceRunError:
    """Quote GROMACS's own error message, or its last lines where it has none, with the likely slip."""
    lines = [line.strip() for line in out.read_text(errors="replace").splitlines() if line.strip(" -")]
    starts = [k for k, line in enumerate(lines) if line.startswith(("Program:", "ERROR "))]
    ends = [k for k, line in enumerate(lines) if line.startswith("For more information")]
    quoted = lines[starts[0] : ends[-1] if ends else None][:QUOTED] if starts else lines[-QUOTED:]
    message = "\n".join(quoted)
    slip = next((slip for pattern, slip in SLIPS.items() if re.search(pattern, message, re.IGNORECASE)), None)
    if slip is None and (ended_by := -status if status < 0 else status - SHELL_SIGNAL) > 0:
        slip = f"it was ended by signal {ended_by}; was memory short?"
    return ReferenceRunError(
        f"`{gmx.name} {' '.join(str(word) for word in words)}` failed in {out.parent} (status {status})"
        + (f": {slip}" if slip else "")
        + f". It said, in {out.name}:\n  "
        + "\n  ".join(quoted)
    )
