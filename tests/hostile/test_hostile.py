"""The corpus against the real grader: exact scores, nothing left behind, the next one graded fully."""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grading import box, evaluation, parent, sandbox
from grading.errors import SubmissionError
from grading.records import Verdict
from tests.fixtures import blending, no_namespaces, processes
from tests.hostile.canaries import FORM, made
from tests.hostile.corpus import FULL, Submission, corpus

pytestmark = pytest.mark.slow

LIMITS = {"cell_s": 8.0, "question_s": 3.0, "submission_s": 90.0, "memory_mb": 1200}
CANARY = Path(f"/tmp/course-canary-{os.getpid()}")


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blending.edition(tmp_path_factory.mktemp("hostile-edition"))


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file and an environment variable of the grader's, which nothing in a box may find."""
    CANARY.write_text(made("file"))
    monkeypatch.setenv("COURSE_CANARY", made("environment"))
    yield
    CANARY.unlink()


@pytest.fixture(scope="module")
def warm(edition: Path) -> Iterator[parent.WarmParent]:
    """Kernels are forked from one warm parent, as for a class; it has to live through all of it."""
    made = parent.warm_parent("bubblewrap", edition, blending.week().imports)
    yield made
    parent.close_all()
    assert left_behind() == []


def grade(content: bytes, edition: Path, rung: str = "bubblewrap", warm: bool = True) -> Verdict:
    week = blending.week(**LIMITS)
    try:
        return evaluation.evaluate(content, week, edition, seed=11, sandbox=rung, warm=warm)
    except SubmissionError as problem:
        return evaluation.unreadable(week, evaluation.submission_hash(content), str(problem), seed=11)


def left_behind() -> list[str]:
    """Processes that run as the box's user, or under this one, and folders of sockets; the parent is ours."""
    ours = processes.left()
    boxed = [
        p for p in psutil.process_iter(["uids"]) if p.info["uids"] and p.info["uids"].real == box.box_uid()
    ]
    alive = {p.pid: str(p) for p in {*ours, *boxed} if p.is_running() and not sandbox.gone(p.pid)}
    folders = set(Path("/tmp").glob(f"{box.SHARE_PREFIX}{os.getpid()}-*"))
    for one in parent.running():
        # bubblewrap outside, bubblewrap inside, and the parent itself; a fourth would be a fork.
        for pid in [one.pid, *sandbox.descendants(one.pid)][:3]:
            alive.pop(pid, None)
        folders.discard(one.share)
    return [*alive.values(), *map(str, folders)]


@pytest.mark.parametrize("submission", corpus(str(CANARY)), ids=lambda s: s.name)
@pytest.mark.usefixtures("canary")
def test_a_hostile_notebook_earns_exactly_its_honest_score(
    submission: Submission, edition: Path, warm: parent.WarmParent
) -> None:
    before = warm.forks
    verdict = grade(submission.content, edition)
    # None was quietly graded in another way, and none brought the parent down.
    assert warm.forks - before == verdict.timings.get("kernels", 0)
    assert parent.running() == [warm]
    assert warm.alive
    told = [(e.id, e.outcome, [c.seen for c in e.checks if not c.passed]) for e in verdict.exercises]
    assert verdict.score == submission.score, (told, verdict.notes, verdict.timings)
    assert left_behind() == []
    text = verdict.to_json()
    assert Verdict.from_json(text) == verdict
    assert not any(ord(letter) < 32 and letter != "\n" for letter in text)
    assert "\u202e" not in text
    assert not re.search(FORM, text)
    text.encode("utf-8")


def test_every_cell_of_the_corpus_is_a_program() -> None:
    """An attack with a slip in it never runs, and its notebook gets its honest score for that reason."""
    broken = []
    for submission in corpus():
        try:
            cells = json.loads(submission.content)["cells"]
        except (ValueError, RecursionError, KeyError, TypeError):
            continue
        for cell in cells:
            source = "".join(cell.get("source", "")) if cell.get("cell_type") == "code" else ""
            source = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
            try:
                ast.parse(source)
            except SyntaxError:
                broken.append((submission.name, source))
    assert broken == [("honest_with_errors", "def broken(:")]


def test_the_corpus_is_exact_where_no_namespaces_are_made() -> None:
    """All of it on the weaker rung, as root if that can be, in a process around which nothing is allowed."""
    code = "import sys\nsys.argv = ['hostile', '--alone', 'here']\n"
    code += "from tests.hostile.__main__ import main\nsys.exit(main())"
    done = no_namespaces.run(code, os.geteuid() == 0, seconds=1500)
    count = len(corpus())
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f": {count} notebooks, {count} exact, 0 escapes" in done.stdout


@pytest.mark.usefixtures("warm")
def test_the_next_submission_is_graded_fully(edition: Path) -> None:
    """Runs last in this file, in the process that graded all the others."""
    assert grade(blending.notebook(*blending.SOLUTION), edition).score == FULL
