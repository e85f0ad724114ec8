"""A warm parent, seen from outside: `grading.warm` in a box, and the kernels that it forks.

It is started once, pays for torch and everything else that a week's notebook imports, and then forks a kernel
in milliseconds. A fork is in namespaces of its own and behind both locks; it is watched and killed as any
other box. When a parent dies, its forks die with it, and the next fork starts a new one.
"""

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from grading import box as boxes
from grading.box import Box, new_share, warm_command
from grading.errors import SandboxError
from grading.sandbox import Watched, descendants, gone, probe, send_kill, wait_until

FORKS = ("bubblewrap", "bubblewrap-only")
READY_S = 90.0  # a busy machine imports slowly
FORK_S = 30.0
ORPHANED_S = 0.3
TRIES = 3
ANSWER_BYTES = 1 << 16


class Forked(Watched):
    """One fork, as `Boxed` is one box."""

    def __init__(self, parent: "WarmParent", box: Box) -> None:
        super().__init__(parent.rung, box)
        self._parent = parent
        self._descriptor: int | None = None
        self._ending = threading.Lock()

    def begin(self, descriptor: int) -> None:
        """Watch it from here on. The descriptor is a pidfd of the first process of its namespace."""
        self._descriptor = descriptor
        self.pid = _pid(descriptor)
        self._watch.start()

    @property
    def alive(self) -> bool:
        # A pidfd can be read from as soon as its process is dead; no number is asked that could be another's.
        descriptor = self._descriptor
        try:
            return descriptor is not None and not select.select([descriptor], [], [], 0)[0]
        except (OSError, ValueError):
            return False  # closed just now, by the other thread

    @property
    def orphaned(self) -> bool:
        # Its parent ends a moment after it: bubblewrap outside sees bubblewrap inside go.
        return not self._ended.is_set() and wait_until(lambda: not self._parent.alive, ORPHANED_S)

    def inside(self) -> list[int]:
        return [self.pid, *descendants(self.pid)] if self.alive else []

    def _end(self, inside: list[int]) -> None:
        with self._ending:  # the watch and whoever closes the kernel may come at once
            if self._descriptor is None:
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            wait_until(lambda: not self.alive and all(map(gone, inside)), 10)
            os.close(self._descriptor)
            self._descriptor = None


class WarmParent:
    """A running warm parent.

    Args:
        rung: "bubblewrap" or "bubblewrap-only".
        edition: the folder with course_lib, or None.
        imports: modules to import before the first fork.

    Raises:
        SandboxError: it does not start here.
    """

    def __init__(self, rung: str, edition: Path | None, imports: Sequence[str]) -> None:
        self.rung = rung
        self.edition = edition
        self.share = new_share()
        self.missing: list[str] = []
        self._errors = tempfile.TemporaryFile()
        self.forks = 0
        self._folders = 0
        self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with inside:
            line, environment = self._command(inside.fileno(), imports)
            # Not a Boxed: it runs nothing of a learner's, and its forks get limits of their own.
            self._process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=environment,
                cwd="/",
                start_new_session=True,
                pass_fds=(inside.fileno(),),
            )
        self._ready = False

    def _command(self, descriptor: int, imports: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """What is started, and its environment; it gets its orders on the descriptor."""
        program = boxes.second_lock() if self.rung == "bubblewrap" else ""
        return warm_command(Box(self.share, self.edition), descriptor, imports, program), {}

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the outermost process; killing it ends all."""
        return self._process.pid

    def new_folder(self) -> Path:
        """A folder for one fork's sockets; the fork sees this one only."""
        self._folders += 1
        folder = self.share / f"k{self._folders}"
        folder.mkdir(mode=0o700)
        uid = boxes.box_uid()
        if uid is not None:
            os.chown(folder, uid, uid)
        return folder

    def fork(self, box: Box, module: str, arguments: Sequence[str], descriptor: int | None = None) -> Forked:
        """A process of its own, in a box of its own, that runs a module or a file.

        Args:
            box: its share is one of `new_folder`'s.
            descriptor: an open file of ours that it gets, under the same number.

        Raises:
            SandboxError: the parent died, or does not fork.
        """
        if not self._ready:
            answer, _ = self._receive(READY_S)
            if answer["threads"] != 1:
                raise SandboxError(
                    f"a warm parent has {answer['threads']} threads, where a fork is safe with one only."
                )
            self.missing = answer["missing"]
            self._ready = True
        forked = Forked(self, box)
        keep = descriptor if descriptor is not None else os.open(os.devnull, os.O_RDONLY)
        begun = False
        try:
            orders = boxes.order(self.rung, box, module, arguments, keep)
            socket.send_fds(self._control, [json.dumps(orders).encode()], [forked.errors.fileno(), keep])
            _, descriptors = self._receive(FORK_S)
            if not descriptors:
                raise SandboxError("a warm parent did not fork:")
            forked.begin(descriptors[0])
            begun = True
            self.forks += 1
        except OSError as problem:
            raise SandboxError(f"a warm parent did not fork: {problem}") from problem
        except SandboxError as problem:
            raise SandboxError(f"{problem} {forked.first_error()}".strip()) from None
        finally:
            if not begun:
                forked.errors.close()
            if descriptor is None:
                os.close(keep)
        return forked

    def close(self) -> None:
        """End it, and every fork that is left."""
        if self.alive:
            inside = descendants(self._process.pid)
            for pid in inside[:1]:
                send_kill(pid)
            if not inside or not wait_until(lambda: not self.alive, 2):
                self._process.kill()
            self._process.wait()
            wait_until(lambda: all(map(gone, inside)), 10)
        self._control.close()
        self._errors.close()
        shutil.rmtree(self.share, ignore_errors=True)

    def _receive(self, seconds: float) -> tuple[dict[str, Any], list[int]]:
        self._control.settimeout(seconds)
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, ANSWER_BYTES, 4)
        except TimeoutError:
            raise SandboxError(f"a warm parent did not answer within {seconds:g} seconds.") from None
        except OSError:
            message, descriptors = b"", []
        if not message:
            self._process.kill()  # its socket is closed: whatever is left of it is of no use
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read(1 << 16).decode(errors="replace").strip().splitlines()
            raise SandboxError(f"a warm parent ended: {said[-1] if said else 'it said nothing'}.")
        return json.loads(message), descriptors


_running: dict[tuple[str, Path | None, tuple[str, ...]], WarmParent] = {}


_cold: dict[str, list[str]] = {}  # by rung, how it failed here


def warm_parent(rung: str, edition: Path | None, imports: Sequence[str]) -> WarmParent:
    """This process's warm parent of that kind: the one that runs, or a new one. One kind at a time.

    Raises:
        SandboxError: it does not start here, or a box that it forks does not hold.
    """
    kind = (rung, edition, tuple(imports))
    found = _running.get(kind)
    if found is None or not found.alive:
        close_all()
        found = WarmParent(rung, edition, imports)
        try:
            broken = broken_promises(found)
        except BaseException:
            found.close()
            raise
        if broken:
            found.close()
            raise SandboxError(f"a warm parent's boxes do not hold here: {'; '.join(broken)}.")
        _running[kind] = found
    return found


def broken_promises(parent: WarmParent) -> list[str]:
    """Try to break out of a fork. Returns what was possible and should not be."""

    def start(box: Box, script: str, arguments: Sequence[str], said: IO[bytes]) -> Watched:
        return parent.fork(box, script, arguments, said.fileno())  # under its own number, as a box has it

    return probe(parent.rung, parent.new_folder(), start)


def why_cold(rung: str, edition: Path, imports: Sequence[str]) -> str | None:
    """Why a kernel cannot be forked here now, as a sentence; None if it can.

    A parent that does not start may have been killed while it was starting, so it is tried again with the
    next submission; after `TRIES` failures this process asks no more.
    """
    if rung not in FORKS:
        return f"the sandbox {rung} has no warm parent."
    if len(_cold.get(rung, ())) < TRIES:
        try:
            warm_parent(rung, edition, imports)
        except SandboxError as problem:
            _cold.setdefault(rung, []).append(str(problem))
            return str(problem)
        return None
    return _cold[rung][-1]


def running() -> list[WarmParent]:
    """This process's warm parents."""
    return list(_running.values())


@atexit.register
def close_all() -> None:
    """End this process's warm parents, and their forks with them."""
    while _running:
        _running.popitem()[1].close()


def _pid(descriptor: int) -> int:
    """The number, here, of the process that a pidfd stands for; 0 if it is gone already."""
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        fields = dict(line.split(":", 1) for line in file)
    return max(int(fields["Pid"]), 0)
