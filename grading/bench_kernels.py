"""What a kernel costs, and whether a long class costs more: the parts of the benchmark that look inside.

    pss_mb_per_kernel   what the memory of a warm parent and its kernels grows by with one kernel more
    isolation_ms        order to ready: a boxed fork of a warm parent, less a plain fork of a plain one
    memory_growth       the grader and its workers late in a class, against what they held after 100

The unprotected variant is here and nowhere else: the grader cannot be told to fork without a box.
"""

import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from grading import box as boxes
from grading import editions, parent, release
from grading.bench_sides import Ours, cores_here, course
from grading.box import Box, environment
from grading.errors import CourseBroken
from grading.kernel import Kernel
from grading.layout import Layout
from grading.parent import WarmParent, warm_parent
from grading.sandbox import descendants
from grading.session import Session
from grading.weeks import Week

KERNELS = 6
STARTS = 15
RUNG = "bubblewrap"
PLAIN = "none"
AFTER = 100  # submissions from which on memory may not grow
NEAR = 10  # and over how many it is looked at
LOOK_S = 0.1

# `grading.warm` without everything that makes a box of its forks: one process, the same modules, the same
# descriptors, the same start of the kernel.
PLAIN_PARENT = """
import json, os, socket, sys
sys.path.insert(1, {repository!r})  # behind the edition
from grading import warm
sys.path.pop(1)
control = socket.socket(fileno=int(sys.argv[1]))
missing = warm.pay(json.loads(sys.argv[2]))
ready = {{"ready": True, "threads": len(os.listdir("/proc/self/task")), "missing": missing}}
control.send(json.dumps(ready).encode())
while True:
    message, descriptors, _, _ = socket.recv_fds(control, warm.ORDER_BYTES, 8)
    if not message:
        break
    orders = json.loads(message)
    child = os.fork()
    if not child:
        control.close()
        os.setsid()
        os.chdir(orders["share"])
        warm._keep(descriptors, int(orders["keep"]))
        warm._run(orders["run"], orders["arguments"])
    socket.send_fds(control, [b"{{}}"], [os.pidfd_open(child)])
    for one in descriptors:
        os.close(one)
    while True:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                break
        except ChildProcessError:
            break
"""


class PlainParent(WarmParent):
    """A warm parent that forks without a box, Landlock, seccomp or limits. For measuring, and for our own
    notebook only.
    """

    def _command(self, descriptor: int, imports: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        program = PLAIN_PARENT.format(repository=str(Path(__file__).parent.parent))
        line = [sys.executable, "-s", "-P", "-c", program, str(descriptor), json.dumps(list(imports))]
        return line, environment(Box(self.share, self.edition), PLAIN)

    def new_folder(self) -> Path:
        folder = super().new_folder()
        if boxes.box_uid() is not None:
            os.chown(folder, 0, 0)  # its forks stay root
        return folder


def pss_mb_per_kernel(layout: Layout, week: Week) -> float | None:
    """Megabytes that one kernel more takes while it lives, with a solved notebook's cells run in it.

    PSS of proc(5) over the warm parent and all its kernels, before and after: what they share counts once,
    and what a further kernel makes the others stop sharing counts too. The median of several, the first left
    out. None where this system does not let us look.
    """
    edition = editions.ensure(layout, week)
    cells = release.solved(week)["cells"]
    left_out = {place for place, cell in enumerate(cells) if "experiment" in cell["metadata"]}
    sessions: list[Session] = []
    held: list[float] = []
    try:
        for _ in range(KERNELS):
            session = Session(cells, left_out, edition, week.limits, RUNG, week.imports)
            sessions.append(session)
            session.kernel()
            if session.ends:
                raise CourseBroken(f"a cell of {week.id}'s solved notebook does not run in its kernel.")
            (one,) = parent.running()
            found = pss_mb([one.pid, *descendants(one.pid)])
            if found is None:
                return None
            held.append(found)
    finally:
        for session in sessions:
            session.close()
        parent.close_all()
    return statistics.median(after - before for before, after in itertools.pairwise(held))


def isolation_ms(layout: Layout, week: Week) -> dict[str, float]:
    """{"boxed", "plain"}: milliseconds from the order to a kernel that answers, medians, taken in turn.

    Both are forks of a parent with the same modules, both are started and asked by the same lines; what the
    boxed one has besides is its namespaces and mounts, limits, Landlock and seccomp.
    """
    edition = editions.ensure(layout, week)
    times: dict[str, list[float]] = {RUNG: [], PLAIN: []}
    try:
        warm_parent(RUNG, edition, week.imports)
        plain = PlainParent(PLAIN, edition, week.imports)
        # Where `warm_parent` finds it, and never starts one: there is no rung by that name that forks.
        parent._running[PLAIN, edition, tuple(week.imports)] = plain
        for number in range(STARTS + 1):
            for rung, found in times.items():
                started = time.monotonic()
                kernel = Kernel(edition, week.limits, rung, week.imports)
                took = time.monotonic() - started
                kernel.close()
                if number:  # the first of each waits for its parent to be ready
                    found.append(took)
    finally:
        parent.close_all()
    return {
        "boxed": statistics.median(times[RUNG]) * 1000,
        "plain": statistics.median(times[PLAIN]) * 1000,
    }


def memory_growth(ours: Ours, count: int) -> float | None:
    """How much more the grader and its workers hold at the end of a class of `count` than after a hundred.

    PSS, as a fraction of what they held after 100; 0.05 is five hundredths more. None where this system does
    not let us look, or where nothing was seen at one of the two moments.
    """
    place = ours.place(count, f"class-{count}")
    workers = min(2, len(cores_here()))
    seen: list[tuple[int, float]] = []
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            course(place, ours.command(place, workers)),
            cwd=ours.layout.root,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            while process.poll() is None:
                time.sleep(LOOK_S)
                people = [process.pid, *_workers(process.pid)]
                held = pss_mb(people) if len(people) == 1 + workers else None
                if held is not None:
                    seen.append((_judged(place, ours.week), held))
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        last = (said.read().strip().splitlines() or ["no message"])[-1]
    if process.returncode != 0:
        raise CourseBroken(f"grading a class of {count} ended with {process.returncode}: {last}")
    ours.check(place, count)
    shutil.rmtree(place)
    return growth(seen, count)


def growth(seen: Sequence[tuple[int, float]], count: int) -> float | None:
    """What of (submissions judged, MB held) says about memory; see `memory_growth`."""
    early = [held for judged, held in seen if AFTER <= judged < AFTER + NEAR]
    late = [held for judged, held in seen if count - NEAR < judged]
    return statistics.median(late) / statistics.median(early) - 1 if early and late else None


def pss_mb(pids: Sequence[int]) -> float | None:
    """PSS of some processes together; one that has ended holds nothing. None if we may not look."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return None
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _workers(pid: int) -> Iterator[int]:
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            if b"grading.workers" in Path(f"/proc/{child}/cmdline").read_bytes():
                yield child


def _judged(place: Path, week: Week) -> int:
    return sum(1 for _ in (place / "var" / "verdicts" / week.id).glob("*/*.json"))
