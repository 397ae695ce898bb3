"""The long form of the tests of faults: kills at many random moments, and a table of what became of them.

    uv run python tests/faults/long.py --moments 200

Every kind of run is killed outright (its whole group, or its parent alone) or interrupted, at moments that are drawn
evenly over its duration, one to three times, and then finished: it must end, and hold what an unbroken one holds.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import jobs  # noqa: E402

HOW = {"kill -9 group": ("group", signal.SIGKILL), "kill -9 parent": ("parent", signal.SIGKILL)}
HOW |= {"SIGTERM group": ("group", signal.SIGTERM), "SIGINT group": ("group", signal.SIGINT)}

WORKER = "kill -9 worker"


def ends(process: subprocess.Popen, seconds: float | None = None) -> bool:
    """Whether a process ends within so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def end(process: subprocess.Popen, how: str):
    """End a process, its group, or one of those it started."""
    if how == WORKER:
        found = subprocess.run(["pgrep", "--parent", str(process.pid)], capture_output=True, text=True).stdout.split()
        for worker in found[-1:]:
            os.kill(int(worker), signal.SIGKILL)
        process.wait()
    else:
        jobs.end(process, *HOW[how])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", default=list(jobs.KINDS), choices=list(jobs.KINDS))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    draw, root = random.Random(given.seed), Path(tempfile.mkdtemp(prefix="faults_"))
    print(f"seed {given.seed}, below {root}", flush=True)
    os.environ |= {"JAX_COMPILATION_CACHE_DIR": str(root / "programs")}
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    whole, lasts, table, done = {}, {}, {}, 0
    for kind in given.kinds:
        for _ in range(2):  # the second time with programs that were compiled before
            shutil.rmtree(root / kind, ignore_errors=True)
            process, clock = jobs.started(kind, root / kind), time.monotonic()
            if process.wait():
                sys.exit(f"{kind}: the unbroken run failed:\n{(root / kind / 'words.txt').read_text()}")
            lasts[kind] = time.monotonic() - clock
        print(f"{kind}: {lasts[kind]:.1f} s unbroken", flush=True)
        whole[kind] = jobs.left(kind, root / kind)
    clock = time.monotonic()
    while done < given.moments:
        for kind in given.kinds:
            folder = root / f"{kind}_{done}"
            tried = []
            for _ in range(draw.choice([1, 2, 3])):
                how = draw.choice([*HOW, WORKER] if kind in ("reference", "sweep") else list(HOW))
                process = jobs.started(kind, folder)
                if not ends(process, draw.uniform(0.0, lasts[kind])):
                    end(process, how)
                    tried.append(how)
            ended = jobs.started(kind, folder).wait() == 0
            same = ended and jobs.left(kind, folder) == whole[kind]
            for how in tried:
                counts = table.setdefault((kind, how), [0, 0, 0])
                counts[0], counts[1], counts[2] = counts[0] + 1, counts[1] + ended, counts[2] + same
            done += len(tried)
            became = (
                "identical" if same else f"another end, kept in {folder}" if ended else f"did not end, see {folder}"
            )
            left = (time.monotonic() - clock) / max(done, 1) * max(given.moments - done, 0)
            print(f"{done} of {given.moments}, {left / 60:.0f} min left: {kind} after {tried}: {became}", flush=True)
            if same:
                shutil.rmtree(folder)
        show(table)
    shutil.rmtree(root / "programs", ignore_errors=True)


def show(table: dict):
    print(f"\n{'kind':12}{'how':18}{'moments':>8}{'survived':>9}{'identical':>10}")
    for (kind, how), counts in sorted(table.items()):
        print(f"{kind:12}{how:18}{counts[0]:8}{counts[1]:9}{counts[2]:10}")
    total = [sum(column) for column in zip(*table.values(), strict=True)] or [0, 0, 0]
    print(f"{'all':30}{total[0]:8}{total[1]:9}{total[2]:10}", flush=True)


if __name__ == "__main__":
    main()
