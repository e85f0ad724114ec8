"""Notebooks that run over each limit, and honest ones just below: who loses what, and what they are told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from grading import feedback, parent
from grading.evaluation import evaluate
from grading.records import Verdict
from tests.fixtures import blending, processes
from tests.fixtures.blending import BLEND, IMPORTS, MASKED_MEAN, notebook

pytestmark = pytest.mark.slow  # whole notebooks are run

STATED = {
    "cell_s": 8.0,
    "question_s": 4.0,
    "submission_s": 90.0,
    "memory_mb": 1200,
    "processes": 40,
    "open_files": 120,
    "file_mb": 8,
    "scratch_mb": 32,
    "cell_output_kb": 6000,
}
SETUP = f"{IMPORTS}\nimport mmap, os, subprocess, sys, threading, time"
FORKS = """children, sleeper = [], 'import time; time.sleep(60)'
try:
    while True:
        children.append(subprocess.Popen([sys.executable, '-c', sleeper]))
finally:
    for child in children:
        child.kill()
        child.wait()"""
THREADS = """over, threads = threading.Event(), []
try:
    while True:
        threads.append(threading.Thread(target=over.wait))
        threads[-1].start()
finally:
    over.set()"""
FILES = """files = []
try:
    while True:
        files.append(open('/proc/self/status'))
finally:
    for file in files:
        file.close()"""
LARGE = "with open('large', 'wb') as file: file.write(bytes(9 << 20))"
FOLDER = """try:
    for number in range(5):
        open(f'/tmp/part{number}', 'wb').write(bytes(7 << 20))
finally:
    for number in range(5):
        os.remove(f'/tmp/part{number}')"""
NUMPY = "import numpy\nnumpy.save('array', numpy.zeros(3 << 20))"
BY_A_CHILD = """code = 'import signal; signal.signal(25, signal.SIG_DFL); '
code += "open('b', 'wb').write(bytes(9 << 20))"
subprocess.run([sys.executable, '-c', code], check=True)"""
LEFT_ALIVE = FORKS.partition("finally")[0].replace("try:", "if True:")

REFUSED = {
    FORKS: "started more than 40 processes and threads at once, the most that grading allows",
    THREADS: "started more than 40 processes and threads at once, the most that grading allows",
    FILES: "opened more than 120 files at once, the most that grading allows",
    LARGE: "wrote a file of more than 8 MB, the most that grading allows",
    FOLDER: "filled a folder in memory: /tmp, the home folder and /dev/shm have 32 MB each",
    NUMPY: "wrote a file of more than 8 MB, the most that grading allows or "
    "filled a folder in memory: /tmp, the home folder and /dev/shm have 32 MB each",
    BY_A_CHILD: "wrote a file of more than 8 MB, the most that grading allows",
}
BUSY = """def burn():
    while True:
        pass
for _ in range(3):
    if os.fork() == 0:
        burn()
burn()"""


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blending.edition(tmp_path_factory.mktemp("limits-edition"))


@pytest.fixture(scope="module", params=[False, True], ids=["started", "forked"])
def warm(request: pytest.FixtureRequest) -> Iterator[bool]:
    yield request.param
    parent.close_all()
    assert processes.left() == []


def grade(edition: Path, warm: bool, *cells: str, **limits: float) -> Verdict:
    week = blending.week(**{**STATED, **limits})
    return evaluate(notebook(*cells), week, edition, seed=5, warm=warm)


def note(place: int, source: str, rest: str) -> str:
    first = source.splitlines()[0]
    return f"Cell {place} ({first if len(first) <= 60 else first[:59] + '…'}) {rest}."


def asked(verdict: Verdict) -> tuple[str, str, str, float]:
    """How the exercise that ran over ended, what was seen first, and the other one's marks."""
    blend = verdict.exercise("blend")
    (seen, *_) = [check.seen for check in blend.checks if not check.passed]
    return blend.outcome, seen, verdict.exercise("masked_mean").outcome, verdict.exercise("masked_mean").score


def test_a_cell_that_is_refused_more_is_told_by_which_limit(edition: Path, warm: bool) -> None:
    verdict = grade(edition, warm, SETUP, BLEND, *REFUSED, MASKED_MEAN)
    assert verdict.notes == [note(3 + n, *pair) for n, pair in enumerate(REFUSED.items())]
    assert (verdict.score, verdict.timings["kernels"]) == (6.0, 1)
    page = feedback.page(blending.week(), "ada", verdict, {})
    assert "opened more than 120 files at once, the most that grading allows." in page


def test_a_cell_that_runs_over_is_stopped_and_told_by_which_limit(edition: Path, warm: bool) -> None:
    """And where it can not be interrupted, the notebook is run again without it."""
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    hoard = "hoard = bytearray(2 << 30)"
    loud = "while True: print('x' * 1000)"
    said = "print('y' * 7_000_000)"
    sleepy = "time.sleep(60)"
    cells = [SETUP, BUSY, BLEND, loud, hoard, said, sleepy, MASKED_MEAN]
    verdict = grade(edition, warm, *cells, cell_cpu_s=2.0)
    assert verdict.notes == [
        note(
            2,
            BUSY,
            "used more than 2 seconds of processor time, the most that a cell may use, and was interrupted",
        ),
        note(4, loud, "printed more than 6000 kB, the most that a cell may print, and was interrupted"),
        note(
            5,
            hoard,
            "used more than 1200 MB of memory, the most that grading allows, "
            "and was left out with its kernel",
        ),
        note(6, said, "printed more than 6000 kB, the most that a cell may print"),
        note(7, sleepy, "ran longer than 8 seconds, the most that a cell may take, and was interrupted"),
    ]
    assert verdict.score == 6.0
    verdict = grade(edition, warm, SETUP, BLEND, stubborn, MASKED_MEAN, cell_cpu_s=1.5)
    assert verdict.notes == [
        note(
            3,
            stubborn,
            "used more than 1.5 seconds of processor time, the most that a cell may use, "
            "and was left out with its kernel",
        )
    ]
    assert verdict.score == 6.0


@pytest.mark.parametrize(
    ("limits", "cell", "stopped", "late"),
    [
        (
            {"submission_s": 20.0, "cell_s": 10.0},
            "time.sleep(7.5)",
            "was running when the cells had used most of the submission's 20 seconds",
            "the cells before it used most of the submission's 20 seconds",
        ),
        (
            {"submission_cpu_s": 14.0, "cell_cpu_s": 13.0, "cell_s": 60.0, "submission_s": 200.0},
            "start = time.process_time()\nwhile time.process_time() - start < 6: pass",
            "was running when the cells had used most of the submission's 14 seconds of processor time",
            "the cells before it used most of the submission's 14 seconds of processor time",
        ),
        (
            {"submission_output_kb": 8000},
            "for _ in range(500): print('x' * 10_000); time.sleep(0.001)",
            "was printing when the cells had used the submission's 8000 kB of output",
            "the cells before it used the submission's 8000 kB of output",
        ),
    ],
    ids=["wall clock", "processor time", "output"],
)
def test_a_submission_has_its_whole_and_definitions_after_it_still_count(
    edition: Path, warm: bool, limits: dict[str, float], cell: str, stopped: str, late: str
) -> None:
    cells = [SETUP, BLEND, cell, cell, cell, "1 + 1", MASKED_MEAN]
    verdict = grade(edition, warm, *cells, **limits)
    assert verdict.notes == [
        note(4, cell, f"{stopped}, and was interrupted"),
        note(5, cell, f"was not run: {late}"),
        note(6, "1 + 1", f"was not run: {late}"),
    ]
    assert verdict.score == 6.0


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (source if source != FORKS else LEFT_ALIVE, sentence)
        for source, sentence in REFUSED.items()
        if source != BY_A_CHILD
    ]
    + [("hoard = bytearray(2 << 30)", "used more than 1200 MB of memory, the most that grading allows")],
    ids=["forks", "threads", "files", "large", "folder", "numpy", "memory"],
)
def test_an_exercise_that_is_refused_more_is_told_by_which_limit(
    edition: Path, warm: bool, source: str, sentence: str
) -> None:
    lines = source.replace("\n", "\n        ")
    greedy = BLEND.replace("        return left", f"        {lines}\n        return left")
    verdict = grade(edition, warm, SETUP, greedy, MASKED_MEAN)
    assert asked(verdict) == ("not right", f"it {sentence}", "right", 2.0)
    assert verdict.notes == []
    assert verdict.timings["kernels"] == 2  # the next exercise starts with everything free


@pytest.mark.parametrize(
    ("limits", "source", "sentence"),
    [
        (
            {"question_s": 2.0},
            "time.sleep(60)",
            "gave no answer within 2 seconds, the most that a question may take",
        ),
        (
            {"question_cpu_s": 1.5, "question_s": 30.0},
            BUSY,
            "used more than 1.5 seconds of processor time, the most that a question may use",
        ),
    ],
    ids=["wall clock", "processor time"],
)
def test_an_exercise_that_runs_over_is_too_slow_by_which_limit(
    edition: Path, warm: bool, limits: dict[str, float], source: str, sentence: str
) -> None:
    lines = source.replace("\n", "\n        ")
    slow = BLEND.replace("        return left", f"        {lines}\n        return left")
    verdict = grade(edition, warm, SETUP, slow, MASKED_MEAN, **limits)
    assert asked(verdict) == ("too slow", f"it {sentence}", "right", 2.0)


def test_memory_of_all_processes_together_is_told_as_that_of_one(edition: Path, warm: bool) -> None:
    lines = """hoards = []
        for _ in range(4):
            if os.fork() == 0:
                hoards = bytearray(400 << 20); time.sleep(60)
        time.sleep(60)"""
    greedy = BLEND.replace("        return left", f"        {lines}\n        return left")
    verdict = grade(edition, warm, SETUP, greedy, MASKED_MEAN, question_s=40.0)
    assert asked(verdict) == (
        "crashed",
        "the kernel died: it used more than 1200 MB of memory, the most that grading allows",
        "right",
        2.0,
    )


def test_an_innocent_exercise_is_asked_again_where_a_cell_has_taken_everything(
    edition: Path, warm: bool
) -> None:
    """The cell keeps all but eight files open; the exercise opens thirty for a moment, as it may."""
    keeps = (
        "kept = []\ntry:\n    while True:\n        kept.append(open('/proc/self/status'))\n"
        "except OSError:\n    del kept[-8:]\n    raise"
    )
    opens = "        files = [open('/proc/self/status') for _ in range(30)]; del files\n        return left"
    verdict = grade(edition, warm, SETUP, keeps, BLEND.replace("        return left", opens), MASKED_MEAN)
    assert verdict.score == 6.0
    assert verdict.notes[0] == note(2, keeps, REFUSED[FILES])
    assert "only the cells that import and define were run" in verdict.notes[1]
    assert verdict.timings["kernels"] == 2


HONEST = (
    "x = bytearray(250 << 20); del x",
    "over = threading.Event()\nthreads = [threading.Thread(target=over.wait) for _ in range(20)]\n"
    "for thread in threads: thread.start()\nover.set()\nfor thread in threads: thread.join()",
    "files = [open('/proc/self/status') for _ in range(50)]\nfor file in files: file.close()",
    "open('fits', 'wb').write(bytes(7 << 20))",
    "for n in range(4): open(f'/tmp/{n}', 'wb').write(bytes(7 << 20))",
    "for _ in range(55): print('x' * 100_000)",
    "time.sleep(3)",
    "start = time.process_time()\nwhile time.process_time() - start < 1: pass",
    "import socket\none, other = socket.socketpair()\none.setblocking(False)\n"
    "try:\n    one.recv(1)\nexcept BlockingIOError:\n    pass",
)


def test_an_honest_notebook_just_below_each_limit_loses_nothing(edition: Path, warm: bool) -> None:
    verdict = grade(edition, warm, SETUP, BLEND, *HONEST, MASKED_MEAN, cell_cpu_s=4.0, submission_cpu_s=16.0)
    assert (verdict.notes, verdict.score, verdict.timings["kernels"]) == ([], 6.0, 1)


def test_a_socket_that_does_not_wait_is_not_taken_for_a_process_too_many(edition: Path, warm: bool) -> None:
    cell = "import socket\none, other = socket.socketpair()\none.setblocking(False)\none.recv(1)"
    verdict = grade(edition, warm, SETUP, BLEND, cell, MASKED_MEAN)
    assert verdict.notes == [
        note(3, "import socket", "raised BlockingIOError: [Errno 11] Resource temporarily unavailable")
    ]
