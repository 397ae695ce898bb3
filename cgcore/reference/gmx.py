"""The program gmx: found, called with its output in a log file, and its failures told in one message."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Event

from .errors import ReferenceError

NAMES = ("gmx", "gmx_mpi", "gmx_d")
OLDEST = 2021  # the first with stochastic cell rescaling
CHECKPOINT_MINUTES = 2
"""Wall time between checkpoints: what a killed run loses at most."""

POLL_S = 0.5
TOLD = 12  # lines of the program's own output in an error

SLIPS = {
    "no space left|out of disk|disk (is )?full": "the disk is full; make room and run again, it goes on",
    "failed to lock|already running": "another mdrun works in this folder, left over from a killed run perhaps; end it",
    "checkpoint.*(mismatch|different|not match|does not)|not match.*checkpoint": "the checkpoint belongs to another "
    "run; remove this replica's folder of GROMACS files to begin its current segment anew",
    "half the shortest box|larger than half|cut-off.*box": "the box is too small for the cut-off and its Verlet buffer",
    "not found in residue|not found in rtp|rtp entry": "an atom or residue is named otherwise in this force field",
    "nan|not finite|water molecule.*settled|infinite force": "the system blew up; a shorter step (--dt-fs) is the cure",
    "no such (force ?field|file)|could not find force field|force field .* not found": "GROMACS's force fields are "
    "not installed beside it, or GMXLIB points elsewhere",
}


def find_gmx(names: tuple[str, ...] = NAMES) -> Path:
    """GROMACS's program: $GMX, or the first of these names in $GMXBIN or on the PATH.

    Raises ReferenceError where there is none or it is too old, with how to install it.
    """
    install = "install it with `apt-get install gromacs` or `conda install -c conda-forge gromacs`"
    if named := os.environ.get("GMX"):
        if not (found := shutil.which(named)):
            raise ReferenceError(f"GMX={named} is no program; want the path of gmx, or {install}")
        return _recent(Path(found))
    where = os.environ.get("GMXBIN")
    found = next(filter(None, (shutil.which(name, path=where) for name in names)), None)
    if found is None:
        raise ReferenceError(f"GROMACS was not found: none of {', '.join(names)} in {where or 'the PATH'}; {install}")
    return _recent(Path(found))


def _recent(gmx: Path) -> Path:
    year = re.match(r"\d+", version(gmx))
    if year and int(year[0]) < OLDEST:
        raise ReferenceError(f"{gmx} is GROMACS {version(gmx)}; want {OLDEST} or newer for its C-rescale barostat")
    return gmx


@cache
def version(gmx: Path) -> str:
    """Such as 2022.5-Debian_2022.5_2."""
    return _told(gmx, "GROMACS version")


@cache
def _told(gmx: Path, what: str) -> str:
    ended = subprocess.run([gmx, "--version"], capture_output=True, text=True, check=False)
    if found := re.search(rf"^{what}:\s+(.*?)\s*$", ended.stdout, re.MULTILINE):
        return found[1].removeprefix("VERSION ")
    raise ReferenceError(f"{gmx} --version says nothing of {what!r}: {ended.stdout[-200:]} {ended.stderr[-200:]}")


def call(gmx: Path, *words, folder: Path, answer: str = "") -> None:
    """Run `gmx words...` in a folder, its output into WORD.out there. Raises ReferenceError when it fails."""
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
    threads: int = 1,
    on_step: Callable[[int], None] | None = None,
    stop: Event | None = None,
) -> bool:
    """Simulate name.tpr to its end, from name.cpt where there is one; False when `stop` was set before.

    The end is there when name.gro is. `on_step` gets the last step in the log now and then. A stopped run writes a
    checkpoint. Raises ReferenceError when it fails.
    """
    if (folder / f"{name}.gro").is_file():
        return True
    ranks = ("-ntmpi", 1) if _told(gmx, "MPI library") == "thread_mpi" else ()
    words = ("mdrun", "-deffnm", name, "-c", f"{name}.part.gro", "-cpi", f"{name}.cpt", "-cpt", CHECKPOINT_MINUTES)
    words = (*words, *ranks, "-ntomp", int(os.environ.get("OMP_NUM_THREADS", threads)))
    log, end = folder / f"mdrun_{name}.out", folder / f"{name}.part.gro"
    end.unlink(missing_ok=True)
    with open(log, "a") as out:
        child = subprocess.Popen(
            _dies_with_parent() + _command(gmx, words),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=_env(),
        )
    try:
        while child.poll() is None:
            if stop is not None and stop.is_set():
                child.terminate()
                child.wait()
                return False
            time.sleep(POLL_S)
            if on_step is not None:
                on_step(last_step(folder / f"{name}.log"))
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if child.returncode:
        raise _failure(gmx, words, child.returncode, log)
    if not end.is_file():  # a signal of the terminal ends mdrun with a checkpoint and without complaint
        return False
    end.rename(folder / f"{name}.gro")
    return True


def last_step(log: Path) -> int:
    """The last step in the tail of a log of mdrun, 0 before the first."""
    if not log.is_file():
        return 0
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        found = re.findall(rb"^ +Step +Time\n +(\d+) ", file.read(), re.MULTILINE)
    return int(found[-1]) if found else 0


def _command(gmx: Path, words) -> list[str]:
    return [str(gmx), "-nobackup", "-quiet", *(str(word) for word in words)]


def _env() -> dict[str, str]:
    """Threads are given on the command line; a second opinion in the environment stops mdrun."""
    return {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}


def _dies_with_parent() -> list[str]:
    """On Linux the kernel ends mdrun, checkpoint written, when this process is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _failure(gmx: Path, words, status: int, log: Path) -> ReferenceError:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip(" -")]
    tail = "\n  ".join(lines[-TOLD:])
    slip = next((said for pattern, said in SLIPS.items() if re.search(pattern, tail, re.IGNORECASE)), None)
    if slip is None and status < 0:
        slip = f"it was ended by signal {-status}; was memory short?"
    return ReferenceError(
        f"`{gmx.name} {' '.join(str(word) for word in words)}` failed in {log.parent} (status {status})"
        + (f": {slip}" if slip else "")
        + f". Its last words, all of them in {log.name}:\n  {tail}"
    )
