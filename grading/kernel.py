"""One boxed kernel, and papermill running a notebook's cells in it.

papermill and jupyter_client drive the kernel by its name, KERNEL; a kernel provisioner puts the box around
it. The same kernel stays alive after the last cell, to be asked questions.

What cells print or show is counted in bytes and not read (`grading.tap`): the client does not subscribe to
the kernel's output channel. No mark depends on an output, so none can cost memory, forge a result, or lose a
mark. How a cell ended is told by its execute reply, which is bounded in size and not believed any further.
"""

import contextlib
import math
import os
import queue
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import nbformat
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets import Dict, List, Unicode

from grading.box import Box, new_share
from grading.errors import SandboxError
from grading.limits import Limits, refused
from grading.parent import warm_parent
from grading.sandbox import Boxed, Watched, wait_until
from grading.tap import LOUD_BYTES, Tap
from grading.usage import Span, Usage, open_files, tasks

KERNEL = "course-sandbox"
START_S = 60.0  # a machine may be busy; a kernel that is not ready by then is our failure, never a mark
SEND_S = 5.0  # a live kernel takes a message at once, even while a cell runs
GRACE_S = 2.0  # between an interrupt and the end of the box
REPLY_CAP_BYTES = 8 << 20
POLL_S, LOUD_POLL_S = 0.05, 0.002  # how long a look for a reply waits; shorter while a cell prints a lot
IN_THE_BOX = ("memory_mb", "processes", "open_files", "file_mb", "scratch_mb")
TRACEBACK_CHARACTERS = 3000  # of a failed cell: its last frames, in which a process was to be started
CROWDED = 0.75  # of the processes that are allowed: whoever is refused one more was seen to have so many

Status = Literal["ok", "raised", "slow", "dead", "late"]


@dataclass(frozen=True)
class CellEnd:
    """How one cell ended.

    Args:
        status: "slow" ran over a limit and could be interrupted; "dead" took the kernel with it; "late" was
            not run, because cells before it had used the submission's.
        kind: for "raised", the exception's class name; for "dead", why, as the middle of a sentence.
        message: for "raised", the exception's text. A stranger's text, at most 400 characters.
        limit: which limit was met, by its name in `grading.limits`; "" for none. From `Kernel.run`, what was
            given to it is named "s", "cpu_s" and "output_kb", for a cell's or what is left of a submission's.
    """

    status: Status
    kind: str = ""
    message: str = ""
    limit: str = ""


class KernelDied(Exception):
    """The kernel died, or had to be ended, while it was running something."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Over(Exception):
    """What runs is over a limit."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class _Process:
    """What a provisioner of jupyter_client asks a process, answered by a watched box."""

    stdout = stderr = stdin = None  # it closes them, where there are any

    def __init__(self, boxed: Watched) -> None:
        self.boxed = boxed
        self.pid = boxed.pid

    def poll(self) -> int | None:
        return None if self.boxed.alive else 0

    def wait(self) -> int:
        wait_until(lambda: not self.boxed.alive, START_S)
        return 0


class BoxedProvisioner(LocalProvisioner):
    """Starts a kernel in a box, for whoever drives kernels through jupyter_client.

    Configured by the kernel spec: `rung`, the fields of `box.Box` as `box`, `descriptors` to hand over, and
    `imports`, for a fork of a warm parent that has imported these; None starts an interpreter of its own.
    """

    rung = Unicode("bubblewrap", config=True)
    box = Dict(config=True)
    descriptors: List[int] = List(config=True)
    imports: List[str] | None = List(config=True, allow_none=True, default_value=None)
    boxed: Watched | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        connection_file = Path(cmd[-1])
        box = Box(**{**self.box, "share": connection_file.parent})
        uid = os.stat(box.share).st_uid
        if uid != os.geteuid():
            os.chown(connection_file, uid, uid)
        if self.imports is None:
            self.boxed = Boxed(self.rung, box, cmd[0], cmd[1:], descriptors=self.descriptors)
        else:
            parent = warm_parent(self.rung, box.edition, self.imports)
            self.boxed = parent.fork(box, cmd[0], cmd[1:], *self.descriptors)
        self.process = _Process(self.boxed)  # type: ignore[assignment]  # it asks no more than this one answers
        self.pid = self.boxed.pid
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        if self.boxed is not None:
            self.boxed.kill()

    async def terminate(self, restart: bool = False) -> None:
        await self.kill()


class _SpecManager(KernelSpecManager):
    """Knows one kernel more than those that are installed."""

    spec = KernelSpec()

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec if kernel_name == KERNEL else super().get_kernel_spec(kernel_name)


class Kernel:
    """A live kernel in a box of its own.

    Args:
        imports: modules that the notebook needs: the kernel is then forked from a warm parent that has them.
            None starts an interpreter of its own, which is less for one kernel and more for three.

    Raises:
        SandboxError: it does not start. Never the learner's fault: nothing of theirs has run yet.
    """

    def __init__(
        self, edition: Path, limits: Limits, rung: str, imports: Sequence[str] | None = None
    ) -> None:
        self.share = new_share() if imports is None else warm_parent(rung, edition, imports).new_folder()
        self.rung = rung
        self.limits = limits
        self.printed_bytes = 0
        self._tap: Tap | None = None
        self._no_usage = Usage()
        specs = _SpecManager()
        arguments = ["--HistoryManager.enabled=False", "--IPKernelApp.capture_fd_output=False", "--quiet"]
        # Questions travel over a pair of sockets that has no name: nothing in the box can be there first.
        self.questions, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.inside_descriptor = inside.fileno()
        config = {
            "rung": rung,
            "box": {"edition": edition, **{name: getattr(limits, name) for name in IN_THE_BOX}},
            "descriptors": [self.inside_descriptor],
            "imports": None if imports is None else list(imports),
        }
        specs.spec = KernelSpec(
            argv=["ipykernel_launcher", *arguments, "-f", "{connection_file}"],
            display_name="course",
            language="python",
            interrupt_mode="message",
            metadata={"kernel_provisioner": {"provisioner_name": KERNEL, "config": config}},
        )
        self.manager = KernelManager(
            kernel_name=KERNEL,
            kernel_spec_manager=specs,
            transport="ipc",
            connection_file=str(self.share / "k.json"),
        )
        # A kernel that broke its own end of a connection takes no message any more: without a limit, sending
        # to it would wait for ever. Set before any socket is made; sockets take it over from their context.
        self.manager.context.sndtimeo = int(SEND_S * 1000)
        self.manager.context.linger = 0
        self._client: BlockingKernelClient | None = None
        self._orphaned: bool | None = None  # asked once, for it takes a moment
        try:
            self.manager.start_kernel()
            self._connect()
        except SandboxError:
            self.close()
            raise
        except Exception as problem:
            said = self.boxed.first_error() if self.boxed else ""
            self.close()
            raise SandboxError(f"the kernel does not start in its sandbox: {said or problem}") from problem
        finally:
            inside.close()

    @property
    def boxed(self) -> Watched | None:
        provisioner = self.manager.provisioner
        return provisioner.boxed if isinstance(provisioner, BoxedProvisioner) else None

    @property
    def alive(self) -> bool:
        """Whether it runs.

        Raises:
            SandboxError: it ended with its warm parent. Never the learner's fault, whatever ran just then.
        """
        if self.boxed is None or self.boxed.alive:
            return self.boxed is not None
        if self._orphaned is None:
            self._orphaned = self.boxed.orphaned
        if self._orphaned:
            raise SandboxError("a warm parent ended, and with it the kernel that it had forked.")
        return False

    @property
    def why_dead(self) -> str:
        """The middle of a sentence: "its kernel died" or what it was ended for."""
        if self.limit_killed_for:
            return f"it {self.limits.over(self.limit_killed_for)}"
        killed_for = self.boxed.killed_for if self.boxed else None
        return killed_for or "its process ended"

    @property
    def limit_killed_for(self) -> str:
        """The limit for which its whole box was ended; "" if it was not for one."""
        return self.boxed.killed_over if self.boxed else ""

    def send(self, source: str) -> str:
        """Start running source without waiting. Returns the request's id.

        Raises:
            KernelDied: the kernel takes no message any more; it was ended.
        """
        assert self._client is not None
        try:
            return str(self._client.execute(source, allow_stdin=False, stop_on_error=False))
        except zmq.ZMQError:
            self.kill()
            raise KernelDied("it stopped taking messages") from None

    def run(
        self, source: str, seconds: float, cpu_s: float = math.inf, output_kb: float = math.inf
    ) -> CellEnd:
        """Run one cell. Comes back after at most `seconds` and a grace period, whatever the cell does.

        Args:
            cpu_s: processor time of all processes together.
            output_kb: what it may print, show and draw.
        """
        if self._tap is not None and self._tap.drain() >= LOUD_BYTES:
            self._tap.skip()  # an earlier cell's
        span, before = self.span(), self.printed_bytes
        most = output_kb * 1000

        def check() -> None:
            if span.cpu_s() > cpu_s:
                raise _Over("cpu_s")
            if self.printed_bytes - before > most:
                raise _Over("output_kb")

        try:
            request = self.send(source)
        except KernelDied as problem:
            return CellEnd("dead", problem.why)
        limit = "s"
        try:
            end = self._reply(request, seconds, check)
        except _Over as over:
            end, limit = None, over.limit
        if end is not None:
            return self._printed(end, before, most)
        if self.alive:
            if limit == "output_kb" and self._tap is not None:
                self._tap.skip()
            with contextlib.suppress(Exception):  # a kernel that dies just now is handled below
                self.manager.interrupt_kernel()
            end = self._reply(request, GRACE_S)
            if end is not None and end.status != "dead":
                return CellEnd("slow", limit=limit)
            if end is None:
                # Without a file left to open, a kernel may not even be able to say so.
                full = any(open_files(pid) >= self.limits.open_files for pid in self._inside())
                self.kill()
                return CellEnd("dead", "it could not be interrupted", limit="open_files" if full else limit)
        return end or self._dead()

    def span(self) -> Span:
        """What it uses from now on."""
        return Span(self._usage)

    @property
    def cpu_s(self) -> float:
        """Processor time of all its processes since it was ready, up to the last look."""
        return self._used.cpu_s()

    def stop_listening(self) -> None:
        """What it prints from here on goes nowhere, and is not counted."""
        if self._tap is not None:
            self._tap.close()
            self._tap = None

    def crowded(self) -> bool:
        """Whether it has nearly as many processes and threads as it may."""
        most = max(tasks(self._inside()), self._usage.last.tasks)
        return most >= CROWDED * self.limits.processes

    def has_ended(self, request: str) -> bool:
        """Whether what `send` started is over, by itself or with the kernel."""
        return not self.alive or self._receive(request, 0.0) is not None

    def kill(self) -> None:
        if self.boxed is not None:
            self.boxed.kill()

    def close(self) -> None:
        """End the kernel, everything it started, and what was set up for it."""
        self.kill()
        self.stop_listening()
        self.questions.close()
        if self._client is not None:
            self._client.stop_channels()
        self.manager.cleanup_resources()
        shutil.rmtree(self.share, ignore_errors=True)

    def _connect(self) -> None:
        # Sockets that connect before the kernel has bound its own would wait for a retry.
        names = [f"{self.manager.ip}-{port}" for port in self.manager.ports]
        if not wait_until(lambda: all(map(os.path.exists, names)) or not self.alive, START_S):
            raise SandboxError(f"the kernel was not ready after {START_S:g} seconds.")
        if not self.alive:
            raise RuntimeError("it ended at once")
        self._client = self.manager.client(context=self.manager.context)
        self._client.allow_stdin = False
        self._client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        # A larger reply is dropped by ZeroMQ before it takes memory here.
        self._client.shell_channel.socket.maxmsgsize = REPLY_CAP_BYTES
        request = self._client.kernel_info()
        if self._receive(request, START_S) is None:
            raise SandboxError("the kernel does not answer.")
        self._tap = Tap(Path(f"{self.manager.ip}-{self.manager.iopub_port}"), START_S)
        self._used = self.span()

    def _inside(self) -> list[int]:
        return self.boxed.inside() if self.boxed is not None else []

    @property
    def _usage(self) -> Usage:
        return self.boxed.usage if self.boxed is not None else self._no_usage

    def _dead(self) -> CellEnd:
        return CellEnd("dead", self.why_dead, limit=self.limit_killed_for)

    def _printed(self, end: CellEnd, before: int, most: float) -> CellEnd:
        """A cell that has ended, with what it had printed and was not read yet."""
        if self._tap is not None and end.status != "dead":
            last = self._tap.drain()
            self.printed_bytes += last
            if last >= LOUD_BYTES and most < math.inf:
                self.printed_bytes += self._tap.settle(int(most) - (self.printed_bytes - before))
        if end.status == "ok" and self.printed_bytes - before > most:
            return CellEnd("ok", limit="output_kb")
        return end

    def _reply(
        self, request: str, seconds: float, check: Callable[[], None] = lambda: None
    ) -> CellEnd | None:
        content = self._receive(request, seconds, check)
        if content is None:
            return None if self.alive else self._dead()
        payload = content.get("payload")
        if isinstance(payload, list) and any(
            isinstance(part, dict) and part.get("source") == "ask_exit" for part in payload
        ):
            # exit() and quit(): the kernel is about to leave, and this cell is the reason.
            self.kill()
            return CellEnd("dead", "it asked the kernel to exit")
        if content.get("status") == "ok":
            return CellEnd("ok")
        kind, message = str(content.get("ename"))[:80], str(content.get("evalue"))[:400]
        forked = "fork" in str(content.get("traceback"))[-TRACEBACK_CHARACTERS:]
        limit = refused(kind, message, kind == "BlockingIOError" and (forked or self.crowded()))
        if limit == "memory_mb":
            # What the cell took is still held by its names; nothing after it could run.
            self.kill()
            return CellEnd("dead", f"it {self.limits.over(limit)}", limit=limit)
        return CellEnd("raised", kind, message, limit)

    def _receive(
        self, request: str, seconds: float, check: Callable[[], None] = lambda: None
    ) -> dict[str, Any] | None:
        """The content of a reply on the shell channel; None when time is over or the kernel is gone.

        Args:
            check: called while there is none; what it raises ends the wait.
        """
        assert self._client is not None
        deadline = time.monotonic() + seconds
        patience = POLL_S
        while True:
            alive = self.alive  # before the poll: the last words of a kernel that just left still count
            left = deadline - time.monotonic()
            heard = True
            try:
                message = self._client.shell_channel.get_msg(timeout=min(max(left, 0.0), patience))
                content, parent = message["content"], message["parent_header"]
                if parent.get("msg_id") == request and isinstance(content, dict):
                    return content
            except queue.Empty:
                heard = False
            except Exception:  # forged, unsigned or malformed: not an answer
                pass
            if left <= 0 or not (alive or heard):
                return None
            if self._tap is not None:
                got = self._tap.drain()
                self.printed_bytes += got
                # A socket holds little. Left full for long, it would hide how much a cell prints.
                patience = LOUD_POLL_S if got >= LOUD_BYTES else POLL_S
            check()


# -- papermill -------------------------------------------------------------------------------------------


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill ships no types
    """papermill's walk over the cells, with a kernel that is already there and outlives it."""

    def __init__(self, manager: Any, run_cell: Callable[[int, str], None]) -> None:
        super().__init__(manager)
        self.run_cell = run_cell

    def execute(self, **_: Any) -> Any:
        self.papermill_execute_cells()
        return self.nb

    def execute_cell(self, cell: Any, cell_index: int, *_: Any, **__: Any) -> Any:
        self.run_cell(cell_index, cell.source)
        return cell


class _Engine(NBClientEngine):  # type: ignore[misc]
    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, run_cell: Callable[[int, str], None] | None = None, **_: Any
    ) -> None:
        assert kernel_name == KERNEL
        assert run_cell is not None
        _Client(nb_man, run_cell).execute()


def run_cells(cells: list[dict[str, Any]], run_cell: Callable[[int, str], None]) -> None:
    """Let papermill walk over a notebook's cells.

    Args:
        cells: with cell_type and source; nothing else of them is used, metadata and outputs least of all.
        run_cell: (place, source) of each code cell that is not empty. What it raises ends the walk.
    """
    # Prose is not given to papermill: it notes a start and an end for every cell that it passes.
    places = [
        place for place, one in enumerate(cells) if one["cell_type"] == "code" and one["source"].strip()
    ]
    bare = [{"cell_type": "code", "source": cells[place]["source"], "metadata": {}} for place in places]
    spec = {"name": KERNEL, "language": "python", "display_name": "course"}
    metadata = {"kernelspec": spec, "papermill": {}}
    whole = {"cells": bare, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    notebook = nbformat.from_dict(whole)
    papermill_engines.execute_notebook_with_engine(
        KERNEL,
        notebook,
        kernel_name=KERNEL,
        progress_bar=False,
        run_cell=lambda number, source: run_cell(places[number], source),
    )


papermill_engines.register(KERNEL, _Engine)
KernelProvisionerFactory.provisioners[KERNEL] = EntryPoint(
    KERNEL, "grading.kernel:BoxedProvisioner", KernelProvisionerFactory.GROUP_NAME
)
