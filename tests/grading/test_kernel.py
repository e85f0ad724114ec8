"""A boxed kernel: what cells can do to it, and what they cannot do to us."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grading import box, parent, sandbox
from grading import kernel as kernels
from grading.errors import SandboxError
from grading.kernel import CellEnd, Kernel, run_cells
from grading.limits import Limits
from tests.fixtures import blending, processes

LIMITS = Limits(memory_mb=800)


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blending.edition(tmp_path_factory.mktemp("kernel-edition"))


@pytest.fixture(scope="module", params=["started", "forked"])
def imports(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...] | None]:
    """Every promise holds for a kernel with an interpreter of its own and for one from a warm parent."""
    yield ("einops",) if request.param == "forked" else None
    parent.close_all()
    assert processes.left() == []


@pytest.fixture
def kernel(edition: Path, imports: tuple[str, ...] | None) -> Iterator[Kernel]:
    made = Kernel(edition, LIMITS, rung="bubblewrap", imports=imports)
    inside = made.boxed.inside() if made.boxed else []
    yield made
    made.close()
    assert not made.share.exists()
    assert all(map(sandbox.gone, inside))
    if imports is None:
        assert processes.left() == []


def test_cells_share_their_names_and_errors_do_not_end_anything(kernel: Kernel) -> None:
    assert kernel.run("x = 6", 5) == CellEnd("ok")
    assert kernel.run("1 / 0", 5) == CellEnd("raised", "ZeroDivisionError", "division by zero")
    assert kernel.run("def broken(:", 5).kind == "SyntaxError"
    assert kernel.run("raise ValueError(x * 7)", 5) == CellEnd("raised", "ValueError", "42")
    assert kernel.run("import sys; sys.exit(0)", 5).kind == "SystemExit"
    assert kernel.run("input()", 5).kind == "StdinNotImplementedError"
    assert kernel.run("raise ValueError('y' * 10_000)", 5).message == "y" * 400


def test_the_learner_gets_the_edition_and_nothing_else_of_ours(kernel: Kernel) -> None:
    end = kernel.run("import course_lib.checks, grading", 10)
    assert (end.kind, end.message) == ("ModuleNotFoundError", "No module named 'grading'")
    assert kernel.run("raise ValueError(course_lib.checks.__file__)", 5).message == (
        "/box/edition/course_lib/checks.py"
    )
    assert kernel.run("open('/box/edition/course_lib/checks.py', 'a')", 5).kind in (
        "OSError",
        "PermissionError",
    )
    end = kernel.run("import os; raise ValueError(os.getcwd() + str(sorted(os.listdir('.'))))", 5)
    assert end.message.startswith("/home/learner[")


def test_a_slow_cell_is_interrupted_and_the_kernel_goes_on(kernel: Kernel) -> None:
    kernel.run("kept = 1", 5)
    started = time.monotonic()
    assert kernel.run("import time; time.sleep(60)", 0.5) == CellEnd("slow", limit="s")
    assert time.monotonic() - started < 3
    assert kernel.run("kept", 5) == CellEnd("ok")


def test_a_cell_that_ignores_the_interrupt_ends_with_its_kernel(kernel: Kernel) -> None:
    source = "while True:\n    try:\n        import time; time.sleep(1)\n    except BaseException: pass"
    end = kernel.run(source, 0.3)
    assert end == CellEnd("dead", "it could not be interrupted", limit="s")
    assert not kernel.alive


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os; os._exit(0)", "its process ended"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process ended"),
        ("exit()", "it asked the kernel to exit"),
        ("hoard = bytearray(2 << 30)", "it used more than 800 MB of memory, the most that grading allows"),
    ],
)
def test_a_cell_that_ends_the_kernel_says_how(kernel: Kernel, source: str, why: str) -> None:
    started = time.monotonic()
    limit = "memory_mb" if "memory" in why else ""
    assert kernel.run(source, 20) == CellEnd("dead", why, limit=limit)
    assert time.monotonic() - started < 5
    assert not kernel.alive


def test_output_costs_the_grader_nothing(kernel: Kernel) -> None:
    ours = psutil.Process()
    before = ours.memory_info().rss
    assert kernel.run("for _ in range(50): print('x' * 1_000_000)", 30).status == "ok"
    assert ours.memory_info().rss - before < 20 << 20


def test_forged_replies_are_not_believed_beyond_their_own_cell(kernel: Kernel) -> None:
    kernel.run(
        "k = get_ipython().kernel\n"
        "for junk in ({'status': 'ok'}, {'status': 5}, [], 'x'):\n"
        "    k.session.send(k.shell_stream or k.iopub_socket, 'execute_reply', junk, parent={'msg_id': 'x'})",
        5,
    )
    assert kernel.run("raise KeyError('mine')", 5).kind == "KeyError"


def test_a_kernel_that_breaks_its_own_connections_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel
) -> None:
    """Bytes that are no message, on every socket: what talks to the kernel then has nobody to talk to."""
    monkeypatch.setattr(kernels, "GRACE_S", 0.5)
    source = (
        "import os, stat, time\n"
        "for descriptor in range(3, 256):\n"
        "    try:\n"
        "        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):\n"
        "            os.set_blocking(descriptor, False); os.write(descriptor, b'SEE1' + bytes(64))\n"
        "    except OSError:\n"
        "        pass"
    )
    started = time.monotonic()
    ends = [kernel.run(source, 2), kernel.run("1", 2), kernel.run("1", 2)]
    assert time.monotonic() - started < 3 * (2 + kernels.SEND_S + 0.5)
    assert {end.status for end in ends} <= {"ok", "dead"}, ends  # whatever the race gives, never a wait


def test_papermill_walks_over_the_cells_and_believes_no_metadata() -> None:
    seen: list[tuple[int, str]] = []
    cells = [
        blending.cell("a = 1", tags=["skip-execution"], papermill={"status": "failed"}),
        blending.cell("some text", "markdown"),
        blending.cell("   \n"),
        blending.cell("b = 2", tags=["raises-exception"]),
        {"cell_type": "raw", "metadata": {}, "source": "c = 3"},
    ]
    run_cells(cells, lambda place, source: seen.append((place, source)))
    assert seen == [(0, "a = 1"), (3, "b = 2")]


def test_a_kernel_that_does_not_start_is_a_fault_of_ours_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, edition: Path
) -> None:
    monkeypatch.setattr(box, "LAUNCHER", "import sys; sys.exit('no way')")
    with pytest.raises(SandboxError, match="does not start in its sandbox: no way"):
        Kernel(edition, LIMITS, "bubblewrap")
    monkeypatch.setattr(kernels, "START_S", 0.0)
    with pytest.raises(SandboxError, match="not ready"):
        Kernel(edition, LIMITS, "bubblewrap")
    assert processes.left() == []


@pytest.mark.slow
def test_twenty_kernels_in_a_row_leave_nothing_behind(edition: Path, imports: tuple[str, ...] | None) -> None:
    Kernel(edition, LIMITS, "bubblewrap", imports).close()
    descriptors, there = psutil.Process().num_fds(), len(processes.left())
    for _ in range(20):
        made = Kernel(edition, LIMITS, "bubblewrap", imports)
        assert made.run("1", 5).status == "ok"
        made.close()
    assert len(processes.left()) == there
    assert psutil.Process().num_fds() <= descriptors + 2


def test_without_a_sandbox_the_same_kernel_runs_plainly(edition: Path) -> None:
    made = Kernel(edition, LIMITS, "none")
    try:
        assert made.run("import course_lib.checks", 20).status == "ok"
        assert made.run("raise ValueError(course_lib.checks.__file__)", 5).message.startswith(str(edition))
    finally:
        made.close()
    assert processes.left() == []
