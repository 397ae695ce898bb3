"""The program gmx: found, called with its output in a log file, and its failures told in one message."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Event

from .errors import ReferenceError

NAMES = ("gmx", "gmx_mpi", "gmx_d")
OLDEST = 2021  # the first with stochastic cell rescaling
CHECKPOINT_MINUTES = 2
"""Wall time between checkpoints: what a killed run loses at most."""

ENDS_WITH_US = """
exec 3<&0
"$@" </dev/null 3<&- &
run=$!
{ read -r _; kill -TERM $run; } <&3 2>/dev/null &
watch=$!
wait $run
status=$?
kill $watch 2>/dev/null
exit $status
"""
"""Shell that runs a program and tells it once to end when its own input closes, as it does when we are killed.

mdrun writes a checkpoint at the first SIGTERM, but dies at the third; the kernel's own signal at a parent's death is sent
for each of that parent's threads.
"""

POLL_S = 0.2
SHELL_SIGNAL = 128  # a shell adds it to the number of the signal that ended its program
TOLD = 20  # lines of the program's own output in an error

SLIPS = {
    r"no space left|out of disk space|disk (is )?full": "the disk is full, or the checkpoint is damaged (the one before "
    "it is NAME_prev.cpt beside it)",
    r"failed to lock|already running": "an mdrun that a killed run left behind still works here; end it and try again",
    r"checkpoint": "the checkpoint belongs to other files; were some of this run moved or replaced? Remove the files of "
    "this stage to make it again",
    r"half the shortest box|longer than half|box.*cut-off": "the box is too small for the cut-off and its Verlet buffer",
    r"not found in (residue|rtp)|residue topology database": "this force field names an atom or a residue otherwise",
    r"\bnan\b|not finite|cannot be settled|infinite force|blow|exploding": "the system blew up; a shorter step "
    "(--dt-fs) is the cure",
    r"could not find force field|force ?field.*not found|library file": "GROMACS's own files are not where it looks for "
    "them; is GMXLIB or GMXDATA set to something else?",
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


def has_gpu(gmx: Path) -> bool:
    """Whether it was built for one."""
    return _told(gmx, "GPU support") != "disabled"


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
    last: int | None = None,
    threads: int = 1,
    device: str = "auto",
    on_step: Callable[[int], None] | None = None,
    stop: Event | None = None,
) -> bool:
    """Run name.tpr to its end, from name.cpt where there is one; False when `stop` was set before that.

    last: the step it ends at, None for a minimisation, which has no checkpoints. `on_step` gets the last step in the log
    now and then. Raises ReferenceError when mdrun fails or somebody ended it.
    """
    stop = stop or Event()
    ranks = ("-ntmpi", 1) if _told(gmx, "MPI library") == "thread_mpi" else ()
    words = ("mdrun", "-deffnm", name, "-cpi", f"{name}.cpt", "-cpt", CHECKPOINT_MINUTES)
    words = (*words, *ranks, "-ntomp", int(os.environ.get("OMP_NUM_THREADS", threads)))
    words += ("-nb", "cpu") if device == "cpu" else ()
    out, log = folder / f"mdrun_{name}.out", folder / f"{name}.log"
    with open(out, "w") as file:
        child = subprocess.Popen(
            ["sh", "-c", ENDS_WITH_US, "sh", *_command(gmx, words)],
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
    raise ReferenceError(f"{log}: ended at step {last_step(log)} of {last} by a signal; run again, it goes on there")


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


def _failure(gmx: Path, words, status: int, out: Path) -> ReferenceError:
    said = _complaint(out.read_text(errors="replace"))
    slip = next((slip for pattern, slip in SLIPS.items() if re.search(pattern, said, re.IGNORECASE)), None)
    if slip is None and (ended_by := -status if status < 0 else status - SHELL_SIGNAL) > 0:
        slip = f"it was ended by signal {ended_by}; was memory short?"
    return ReferenceError(
        f"`{gmx.name} {' '.join(str(word) for word in words)}` failed in {out.parent} (status {status})"
        + (f": {slip}" if slip else "")
        + f". It said, in {out.name}:\n  "
        + said.replace("\n", "\n  ")
    )


def _complaint(text: str) -> str:
    """GROMACS's own error message, or the last lines where it has none."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" -")]
    starts = [k for k, line in enumerate(lines) if line.startswith(("Program:", "ERROR "))]
    ends = [k for k, line in enumerate(lines) if line.startswith("For more information")]
    said = lines[starts[0] : ends[-1] if ends else None] if starts else lines
    return "\n".join(said[:TOLD] if starts else said[-TOLD:])
