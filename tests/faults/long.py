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
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import conftest  # noqa: E402, F401  the precision of the tests
import jobs  # noqa: E402
import test_metadynamics  # noqa: E402, F401  loaded once, before every run is forked from here
import test_simulate  # noqa: E402, F401
import test_train  # noqa: E402, F401

HOW = {"kill -9 group": ("group", signal.SIGKILL), "kill -9 parent": ("parent", signal.SIGKILL)}
HOW |= {"SIGTERM group": ("group", signal.SIGTERM), "SIGINT group": ("group", signal.SIGINT)}


def forked(kind: str, folder: Path) -> int:
    """The number of a process in a session of its own that works in a folder."""
    if pid := os.fork():
        return pid
    os.setsid()
    with open(folder / "words.txt", "a") as words:
        os.dup2(words.fileno(), 1)
        os.dup2(words.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        jobs.WORK[kind](folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait(pid: int, seconds: float) -> int | None:
    """The exit status of a process that ends within so many seconds, else None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", default=list(jobs.WORK), choices=list(jobs.WORK))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    draw, root = random.Random(given.seed), Path(tempfile.mkdtemp(prefix="faults_"))
    print(f"seed {given.seed}, below {root}", flush=True)
    os.environ |= {jobs.OFTEN: "0.05", "JAX_COMPILATION_CACHE_DIR": str(root / "programs")}
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    whole, lasts, table, done = {}, {}, {}, 0
    for kind in given.kinds:
        for _ in range(2):  # the second time with programs that were compiled before
            shutil.rmtree(root / kind, ignore_errors=True)
            (root / kind).mkdir(parents=True)
            clock = time.monotonic()
            if wait(forked(kind, root / kind), 3600) != 0:
                sys.exit(f"{kind}: the unbroken run failed:\n{(root / kind / 'words.txt').read_text()}")
            lasts[kind] = time.monotonic() - clock
        whole[kind] = jobs.left(kind, root / kind)
    while done < given.moments:
        for kind in given.kinds:
            folder = root / f"{kind}_{done}"
            folder.mkdir()
            tried = []
            for _ in range(draw.choice([1, 1, 2, 3])):
                how = draw.choice(list(HOW))
                pid = forked(kind, folder)
                if wait(pid, draw.uniform(0.0, lasts[kind])) is None:
                    group, number = HOW[how]
                    (os.killpg if group == "group" else os.kill)(pid, number)
                    os.waitpid(pid, 0)
                    tried.append(how)
            ended = wait(forked(kind, folder), 3600) == 0
            same = ended and jobs.left(kind, folder) == whole[kind]
            for how in tried:
                counts = table.setdefault((kind, how), [0, 0, 0])
                counts[0], counts[1], counts[2] = counts[0] + 1, counts[1] + ended, counts[2] + same
            done += len(tried)
            if same:
                shutil.rmtree(folder)
            else:
                print(f"{folder}: {'another end' if ended else 'did not end'} after {tried}", flush=True)
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
