"""Puts a stranger's process into a box: allow-listed files, no network, no rights, limits that bite.

The rung in use is self-tested before anything is run in it, and recorded in every verdict.

    bubblewrap       the process sees an interpreter, installed packages, its edition of course_lib, and an
                     empty home in memory. Own mount, pid, net, ipc and uts namespaces. Started by root, it
                     runs as a user id of its own, without capabilities; started by anybody else, in a user
                     namespace. Inside, it locks itself in a second time, with Landlock and seccomp.
    landlock         where the machine makes no namespaces, as in most containers: Landlock, seccomp and
                     limits alone (`grading.locked`), and a keeper that ends what is left (`grading.keeper`).
                     Weaker, and every verdict says so.
    bubblewrap-only  bubblewrap without the second lock, for a kernel that has no Landlock (before 5.13) or a
                     system without libseccomp. Only when asked for by name.
    none             a plain process with limits. Only when asked for by name.
"""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil

from grading import locked, machine
from grading.box import (
    INSIDE,
    SCRATCH_FILES,
    SHARE_FILES,
    SHARE_MB,
    SHARE_PREFIX,
    Box,
    box_uid,
    command,
    environment,
    new_share,
    shown,
)
from grading.errors import SandboxError, UsageError
from grading.records import RUNGS
from grading.usage import Usage

BEST = "best"
WATCH_S = 0.1
PROBE_S = 30.0
KEEPER_S = 10.0
PROBE_MB = 1500  # more than a fork of a warm parent holds from the start


class Watched:
    """A boxed process and everything it started: watched while it runs, and killed as one.

    Whoever starts one sets `pid` and calls `watch`.

    Args:
        box: its limits, and its shared folder.
    """

    pid: int

    def __init__(self, rung: str, box: Box) -> None:
        self.box = box
        self.rung = rung
        self.killed_for: str | None = None
        self.killed_over = ""  # the limit's name, where it was one
        self.usage = Usage()
        # A file, not a pipe: nobody has to read it for the box to go on; RLIMIT_FSIZE bounds it.
        self.errors = tempfile.TemporaryFile()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._keep_watch, daemon=True)

    @property
    def alive(self) -> bool:
        raise NotImplementedError

    @property
    def orphaned(self) -> bool:
        """It ended because something of ours did that it cannot live without: no fault of a learner's."""
        return False

    def first_error(self) -> str:
        """The end of what it wrote to standard error: for our own diagnosis, never for a learner."""
        self.errors.seek(0)
        return self.errors.read(1 << 16).decode(errors="replace")[-600:].strip()

    def kill(self) -> None:
        """End it and everything it started, and come back when all of that is gone. Safe to call twice."""
        self._ended.set()
        self._end(self.inside())
        if threading.current_thread() is not self._watch:
            if self._watch.is_alive():
                self._watch.join()
            self.errors.close()

    def inside(self) -> list[int]:
        """Every process of the box; the first one of the namespace comes first."""
        return descendants(self.pid) if self.alive else []

    def _end(self, inside: list[int]) -> None:
        raise NotImplementedError

    def _keep_watch(self) -> None:
        """Count what it uses; kill it when its processes together, or its shared folder, hold too much."""
        while not self._ended.wait(WATCH_S) and self.alive:
            inside = self.inside()
            # Where no namespace has a number 1, whoever takes in orphans is the process that was started.
            self.usage.look([self.pid, *inside] if self.rung in ("none", "landlock") else inside)
            if self._holds_too_much(inside):
                self.killed_over = "memory_mb"
                self._stop(f"it used more than {self.box.memory_mb} MB of memory")
            elif too_much_in(self.box.share, SHARE_MB, SHARE_FILES):
                self._stop("it filled a folder that is only there for sockets")
            elif self._wrote_too_much():
                self.killed_over = "scratch_mb"
                self._stop(f"it wrote more than {self.box.scratch_mb} MB, or {SCRATCH_FILES} files")

    def _holds_too_much(self, inside: Sequence[int]) -> bool:
        if sum(map(_resident_mb, inside)) <= self.box.memory_mb:
            return False
        # Pages that forks share were counted once for each: what is divided among them takes longer to ask.
        return sum(map(_proportional_mb, inside)) > self.box.memory_mb

    def _wrote_too_much(self) -> bool:
        return False  # folders in memory have a size

    def _stop(self, reason: str) -> None:
        self.killed_for = reason
        self.kill()


class Boxed(Watched):
    """A process started in a box of its own.

    Args:
        rung: one of `records.RUNGS`.
        output: where the process's own standard output goes; nowhere unless given.
        descriptors: open files of ours that it gets, under the same numbers.
    """

    def __init__(
        self,
        rung: str,
        box: Box,
        module: str,
        arguments: Sequence[str] = (),
        output: int | IO[bytes] = subprocess.DEVNULL,
        descriptors: Sequence[int] = (),
    ) -> None:
        line = command(rung, box, module, arguments)
        super().__init__(rung, box)
        self._uid = box_uid()
        if rung == "landlock":
            locked.make_home(box.scratch, self._uid)
        self.process = subprocess.Popen(
            line,
            # The keeper's order to end: this pipe closes when we say so, and when we are no more.
            stdin=subprocess.PIPE if rung == "landlock" else subprocess.DEVNULL,
            stdout=output,
            stderr=self.errors,
            env=environment(box, rung) if rung == "none" else {},
            cwd=box.share if rung == "none" else "/",
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
        self._ending = threading.Lock()
        self.pid = self.process.pid
        self._watch.start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def _wrote_too_much(self) -> bool:
        if self.rung != "landlock":
            return False
        shared = locked.left_in_shared_memory(self._uid) if self._uid is not None else []
        return too_much_in([self.box.scratch, *shared], self.box.scratch_mb, SCRATCH_FILES)

    def _end(self, inside: list[int]) -> None:
        if self.rung == "landlock":
            self._end_by_keeper(inside)
            return
        # The first process inside takes all others of its pid namespace with it, whoever started them. The
        # one outside is left to see that and to end by itself, so that no dead process stays in the table.
        for pid in inside if self.rung == "none" else inside[:1]:
            send_kill(pid)
        if self.rung == "none" or not inside or not wait_until(lambda: not self.alive, 2):
            self.process.kill()
        self.process.wait()
        wait_until(lambda: all(map(gone, inside)), 10)

    def _end_by_keeper(self, inside: list[int]) -> None:
        with self._ending:  # the watch and whoever closes the kernel may come at once
            assert self.process.stdin is not None
            self.process.stdin.close()
            if not wait_until(lambda: not self.alive, KEEPER_S):
                for pid in inside:
                    send_kill(pid)
                self.process.kill()
            self.process.wait()
            wait_until(lambda: all(map(gone, inside)), 10)
            left = [self.box.scratch]
            left += locked.left_in_shared_memory(self._uid) if self._uid is not None else []
            for path in left:
                with contextlib.suppress(OSError):
                    locked.remove(path)


def descendants(pid: int) -> list[int]:
    """Every process below this one, parents before their children.

    Read from the kernel's own lists where it keeps them (Linux with CONFIG_PROC_CHILDREN), which costs a
    fiftieth of looking at every process there is.
    """
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return []
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop(0)
        with contextlib.suppress(OSError):  # it ended meanwhile
            for thread in os.listdir(f"/proc/{parent}/task"):
                words = Path(f"/proc/{parent}/task/{thread}/children").read_text().split()
                found += map(int, words)
                todo += map(int, words)
    return found


def send_kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """No longer there, or there only as a line in init's list of the dead."""
    try:
        return bool(psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.Error:
        return True


def _resident_mb(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def _proportional_mb(pid: int) -> float:
    """PSS of proc(5): a page that n processes share counts as a part of n."""
    try:
        return float(psutil.Process(pid).memory_full_info().pss) / 2**20
    except (psutil.Error, AttributeError, OSError):
        return _resident_mb(pid)


def too_much_in(places: Path | Sequence[Path], most_mb: int, most_files: int) -> bool:
    """Whether these files and folders hold more than that, together."""
    files, size = 0, 0
    for place in [places] if isinstance(places, Path) else places:
        alone: list[tuple[str, list[str], list[str]]] = [(str(place.parent), [], [place.name])]
        for parent, folders, names in os.walk(place) if place.is_dir() else alone:
            files += len(folders) + len(names)
            if files > most_files:
                return True
            for name in names:
                try:
                    size += os.lstat(os.path.join(parent, name)).st_size
                except OSError:
                    continue
    return size > most_mb << 20


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Ask a condition again and again, at first often. True once it holds, False when the time is over."""
    deadline, pause = time.monotonic() + seconds, 0.002
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return True


# -- self-test -------------------------------------------------------------------------------------------


def check(rung: str = "bubblewrap") -> str:
    """Prove that the rung holds on this machine; once a process. Returns the rung's name.

    Args:
        rung: one of `records.RUNGS`, or "best": bubblewrap, and where no namespaces are made, landlock.

    Raises:
        SandboxError: it is not there, does not start, or a promise is not kept; one sentence says which.
        UsageError: there is no rung of that name.
    """
    if rung == BEST:
        try:
            return _check("bubblewrap")
        except SandboxError as problem:
            try:
                return _check("landlock")
            except SandboxError as second:
                raise SandboxError(f"{problem} Nor can it do without namespaces: {second}") from None
    if rung not in RUNGS:
        raise UsageError(f"there is no sandbox {rung!r}; known: {', '.join((BEST, *RUNGS))}.")
    return _check(rung)


def why_weaker(asked: str, rung: str) -> str | None:
    """A sentence for whoever asked for the best there is and got the second best; None otherwise."""
    if asked != BEST or rung == "bubblewrap":
        return None
    try:
        _check("bubblewrap")
    except SandboxError as problem:
        return f"grading runs in the sandbox {rung}, which is weaker; every verdict says so. Why: {problem}"
    return None


@functools.cache
def _check(rung: str) -> str:
    if rung == "none":
        return rung
    closed = machine.closed_to(box_uid(), shown(), passing=rung == "landlock")
    if closed:
        raise SandboxError(f"the sandbox ({rung}) cannot work here: {closed}.")
    broken = broken_promises(rung)
    if broken:
        raise SandboxError(
            f"the sandbox ({rung}) does not hold here: {'; '.join(broken)}; grade on a machine "
            "where it does, or say --sandbox none if you trust every submission."
        )
    return rung


Start = Callable[[Box, str, Sequence[str], IO[bytes]], Watched]


def broken_promises(rung: str) -> list[str]:
    """Try to break out, in a box of its own. Returns what was possible and should not be."""

    def start(box: Box, script: str, arguments: Sequence[str], said: IO[bytes]) -> Watched:
        return Boxed(rung, box, script, arguments, descriptors=[said.fileno()])

    share = new_share()
    try:
        return probe(rung, share, start)
    finally:
        shutil.rmtree(share, ignore_errors=True)


def probe(rung: str, share: Path, start: Start) -> list[str]:
    """Run `grading.probe` in a box. Returns what was possible and should not be.

    Args:
        start: (box, script, arguments, said) runs the script in the box, which gets `said` under its number.
    """
    with (
        tempfile.TemporaryDirectory(prefix=f"{SHARE_PREFIX}{os.getpid()}-canary-") as outside,
        socket.create_server(("127.0.0.1", 0)) as server,
        tempfile.TemporaryFile() as said,
    ):
        canary = Path(outside) / "canary"
        canary.write_text("canary")
        os.chmod(outside, 0o755)
        untouched = _state_of(canary)
        box = Box(share, memory_mb=PROBE_MB, processes=32)
        own_places = [INSIDE, f"{INSIDE}/python/lib", f"{INSIDE}/site-0"]
        unreadable = [str(canary), __file__, str(Path.home()), str(Path(__file__).parent.parent)]
        if rung == "landlock":
            own_places = locked.site_folders()
            unreadable += [f"/proc/{os.getpid()}/{name}" for name in ("environ", "cmdline", "maps", "fd")]
        facts = {
            "unreadable": unreadable,
            "unwritable": ["/", *own_places, "/dev", "/tmp" if rung == "landlock" else INSIDE, outside],
            "environment": sorted(environment(box, rung)),
            "port": server.getsockname()[1],
            "memory_mb": box.memory_mb,
            "processes": box.processes,
            "open_files": box.open_files,
            "locked_twice": rung in ("bubblewrap", "landlock"),
            "alone": rung == "landlock",
            "canary": str(canary),
            "grader": os.getpid(),
            "program": _interpreter(rung),
            "said": said.fileno(),
        }
        shutil.copyfile(Path(__file__).with_name("probe.py"), share / "probe.py")
        boxed = start(box, str(share / "probe.py"), [json.dumps(facts)], said)
        try:
            if not wait_until(lambda: not boxed.alive, PROBE_S):
                return [f"the self-test did not end within {PROBE_S:g} seconds"]
            error = boxed.first_error()
        finally:
            boxed.kill()
        said.seek(0)
        lines = said.read(1 << 16).decode(errors="replace").splitlines()
        if not lines or not lines[-1].startswith("["):
            last = error.splitlines()[-1] if error else "it said nothing"
            why = machine.why_no_namespaces(last)
            return [f"{why} ({last})" if why else f"nothing runs in it ({last})"]
        found = [str(promise) for promise in json.loads(lines[-1])]
        return found + ["it can change a file outside"] * (_state_of(canary) != untouched)


def _interpreter(rung: str) -> str:
    return os.path.realpath(sys.executable) if rung == "landlock" else f"{INSIDE}/python/bin/python3"


def _state_of(path: Path) -> tuple[object, ...]:
    try:
        found = os.lstat(path)
        return found.st_mode, found.st_uid, found.st_mtime_ns, path.read_bytes()
    except OSError as problem:
        return (str(problem),)
