"""Verdicts reach nbgrader's gradebook exactly, whatever a notebook looks like, and nothing that was there is
lost.
"""

import dataclasses
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.preprocessors import SaveAutoGrades

from grading import gradebook, lock, notebooks, record, release
from grading.demo import NOISE, TAMPERS, colab, tampering, with_cells
from grading.errors import CourseBroken, GradingError
from grading.layout import Layout
from grading.records import ExerciseRecord, Verdict
from grading.weeks import Week
from tests.fixtures import course_tree

pytestmark = pytest.mark.slow  # each test makes a gradebook

Course = tuple[Layout, Week]
WRONG = "class Blend(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    layout, week = course_tree.make(tmp_path / "course")
    release.release(layout, week)
    release.register(layout, week)
    return layout, week


def solved(week: Week) -> dict[str, Any]:
    return course_tree.submission(week)


def recorded(
    course: Course, raw: bytes, verdict: Verdict | None = None, student: str = "ann"
) -> record.Recorded:
    layout, week = course
    course_tree.hand_in(layout, week, student, raw)
    given = verdict or course_tree.verdict(week, raw)
    (done,) = record.record(layout, week, {student: given})
    return done


def held(course: Course, student: str = "ann") -> gradebook.Held:
    return gradebook.held(*course)[student]


def graded_notebook(course: Course, student: str = "ann") -> Any:
    layout, week = course
    return nbformat.read(layout.autograded / student / week.id / f"{week.id}.ipynb", as_version=4)


# -- what a notebook may look like -------------------------------------------------------------------------


def cells_of(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["id"] == name)


def deleted(notebook: dict[str, Any]) -> dict[str, Any]:
    return {
        **notebook,
        "cells": [cell for cell in notebook["cells"] if cell["id"] not in ("blend", "check-blend")],
    }


def duplicated(notebook: dict[str, Any]) -> dict[str, Any]:
    cells = notebook["cells"]
    return {**notebook, "cells": [*cells, *[cell for cell in cells if "nbgrader" in cell["metadata"]]]}


def retyped(notebook: dict[str, Any]) -> dict[str, Any]:
    for name in ("check-blend", "check-masked_mean"):
        cell = cells_of(notebook, name)
        cell["cell_type"] = "markdown"
        del cell["outputs"], cell["execution_count"]
    return notebook


def retagged(notebook: dict[str, Any]) -> dict[str, Any]:
    for cell in notebook["cells"]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"] |= {
                "points": 1000,
                "grade": True,
                "locked": False,
                "schema_version": 99,
            }
            cell["metadata"]["tags"] = ["skip-execution", "raises-exception"]
    notebook["metadata"] |= {
        "kernelspec": {"name": "bash", "display_name": "x"},
        "widgets": {"a": 1},
        "papermill": {},
    }
    return notebook


def swapped(notebook: dict[str, Any]) -> dict[str, Any]:
    left, right = cells_of(notebook, "blend"), cells_of(notebook, "masked_mean")
    left["metadata"], right["metadata"] = right["metadata"], left["metadata"]
    return notebook


def attached(notebook: dict[str, Any]) -> dict[str, Any]:
    cell = notebook["cells"][0]
    cell["attachments"] = {"x.svg": {"image/svg+xml": "<svg onload=alert(1)>"}}
    cell["source"] += "\n\n<script>alert(1)</script>"
    return notebook


ODD = {
    "as it should be": lambda nb: nb,
    "saved by Colab": colab,
    "graded cells deleted": deleted,
    "graded cells twice": duplicated,
    "graded cells as prose": retyped,
    "other points and tags": retagged,
    "metadata of two cells swapped": swapped,
    "noise": lambda nb: with_cells(nb, NOISE),
    "tampering": tampering,
    "script in prose": attached,
    "every cell reversed": lambda nb: {**nb, "cells": nb["cells"][::-1]},
    "no cells at all": lambda nb: {**nb, "cells": []},
    "a thousand cells": lambda nb: with_cells(nb, *["x = 1"] * 1000),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_notebook_gets_its_verdicts_score(course: Course, name: str) -> None:
    _, week = course
    raw = course_tree.as_file(ODD[name](solved(week)))
    # The score is the verdict's, whatever the notebook says: here one that no notebook of these would get by
    # itself.
    given = scored(
        course_tree.verdict(week, course_tree.as_file(solved(week))), raw, blend=2.75, masked_mean=0.0
    )
    done = recorded(course, raw, given)
    assert done.problem == ""
    assert held(course).auto == {"blend": 2.75, "masked_mean": 0.0}
    assert held(course).total == 2.75


def scored(verdict: Verdict, raw: bytes, **scores: float) -> Verdict:
    """The verdict on these bytes, with other scores."""
    import hashlib

    exercises = [dataclasses.replace(one, score=scores.get(one.id, one.score)) for one in verdict.exercises]
    return dataclasses.replace(
        verdict, exercises=exercises, submission=hashlib.sha256(raw).hexdigest(), score=sum(scores.values())
    )


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b'{"nbformat": 3, "worksheets": []}', b"[" * 100_000]
)
def test_a_file_that_is_no_notebook_gets_nothing_and_says_why(course: Course, raw: bytes) -> None:
    _, week = course
    full = course_tree.verdict(week, course_tree.as_file(solved(week)))
    nothing = [ExerciseRecord(one.id, 0.0, one.max, "unreadable", None, None, []) for one in full.exercises]
    given = dataclasses.replace(scored(full, raw, blend=0.0, masked_mean=0.0), exercises=nothing)
    assert recorded(course, raw, given).problem == ""
    assert held(course).auto == {"blend": 0.0, "masked_mean": 0.0}
    note = graded_notebook(course).cells[0].source
    assert note.startswith("<div><p><strong>Put right:</strong></p><ul><li>")
    assert "What follows is the notebook as it was given out." in note


# -- what nbgrader shows -------------------------------------------------------------------------------------


def test_the_graded_notebook_is_the_release_with_the_learners_answers(course: Course) -> None:
    layout, week = course
    notebook = course_tree.submission(week, {"blend": WRONG})
    raw = course_tree.as_file(colab(with_cells(notebook, "my_own = 1")))
    recorded(course, raw)
    graded = graded_notebook(course)
    released = notebooks.read(layout.notebooks / week.id / f"{week.id}.ipynb")
    sources = [cell.source for cell in graded.cells]
    assert WRONG in sources
    assert "my_own = 1" in sources
    for cell in released["cells"]:
        if "exercise" not in cell["metadata"]:
            assert cell["source"] in sources


def test_graded_cells_hold_a_number_and_the_words_that_go_with_it(course: Course) -> None:
    _, week = course
    raw = course_tree.as_file(course_tree.submission(week, {"blend": WRONG + "\n    # \x1b[31m"}))
    recorded(course, raw)
    for cell in graded_notebook(course).cells:
        if cell.metadata.get("check"):
            kinds = [output.output_type for output in cell.outputs]
            assert kinds == ["stream", "execute_result"]
            assert cell.outputs[0].name == "stdout"
            assert 0 <= float(cell.outputs[1].data["text/plain"]) <= week.points[cell.metadata.check]
            assert "\x1b" not in cell.outputs[0].text
        elif cell.cell_type == "code":
            assert cell.outputs == []


def test_nothing_a_learner_wrote_is_alive_in_the_graded_notebook(course: Course) -> None:
    _, week = course
    notebook = attached(retagged(solved(week)))
    own = {"cell_type": "markdown", "metadata": {}, "source": "<img src=x onerror=alert(1)>"}
    raw_cell = {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": "<script>1</script>"}
    notebook["cells"] += [own, raw_cell]
    recorded(course, course_tree.as_file(notebook))
    graded = graded_notebook(course)
    assert graded.metadata.kernelspec.name == "python3"
    assert "widgets" not in graded.metadata
    for cell in graded.cells:
        assert "attachments" not in cell
        assert "tags" not in cell.metadata
        assert cell.cell_type in ("code", "markdown")
        if cell.cell_type == "markdown":
            assert "<script" not in cell.source
            assert "<img" not in cell.source


@pytest.mark.slow
def test_nbgraders_own_feedback_page_is_made_and_has_nothing_alive(course: Course, tmp_path: Path) -> None:
    layout, week = course
    recorded(course, course_tree.as_file(attached(with_cells(solved(week), TAMPERS))))
    done = nbgrader(layout, "generate_feedback", week.id)
    assert done.returncode == 0, done.stderr
    text = (layout.feedback / "ann" / week.id / f"{week.id}.html").read_text()
    assert "6.0 / 6.0" in text.replace("\n", "")
    assert "alert(1)" not in text
    for exercise in week.exercises:
        assert not [check.name for check in exercise.hidden_checks if check.name in text]


# -- nbgrader by itself --------------------------------------------------------------------------------------


def nbgrader(layout: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    (layout.root / "nbgrader_config.py").write_bytes((course_tree.ROOT / "nbgrader_config.py").read_bytes())
    # As a JupyterLab does that was started without the environment: alembic must be found all the same.
    environment = {**os.environ, "PATH": os.defpath}
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=layout.root,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_nbgrader_autograde_by_itself_finds_the_stored_verdict(course: Course) -> None:
    from grading.store import Store

    layout, week = course
    raw = course_tree.as_file(solved(week))
    course_tree.hand_in(layout, week, "ann", raw)
    given = dataclasses.replace(
        scored(course_tree.verdict(week, raw), raw, blend=1.25, masked_mean=2.0), sandbox="bubblewrap"
    )
    Store(layout.verdicts).put(given)
    done = nbgrader(layout, "autograde", week.id)
    assert done.returncode == 0, done.stderr
    assert held(course).auto == {"blend": 1.25, "masked_mean": 2.0}


@pytest.mark.e2e
@pytest.mark.slow
def test_nbgrader_autograde_by_itself_evaluates_what_has_no_verdict(course: Course) -> None:
    layout, week = course
    course_tree.hand_in(layout, week, "ann", course_tree.as_file(tampering(solved(week))))
    course_tree.hand_in(layout, week, "ben", b"{")
    done = nbgrader(layout, "autograde", week.id)
    assert done.returncode == 0, done.stderr
    assert held(course).auto == {"blend": 4.0, "masked_mean": 2.0}
    assert held(course, "ben").auto == {"blend": 0.0, "masked_mean": 0.0}


# -- what the gradebook holds is what the verdict says -------------------------------------------------------


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0, 4.5, 1e9])
def test_a_verdict_that_cannot_be_is_never_recorded(course: Course, score: float) -> None:
    _, week = course
    raw = course_tree.as_file(solved(week))
    done = recorded(course, raw, scored(course_tree.verdict(week, raw), raw, blend=score))
    assert (done.score, done.changed) == (None, False)
    assert "of 4 points" in done.problem
    assert held(course).auto["blend"] is None


def test_a_verdict_without_an_exercise_is_never_recorded(course: Course) -> None:
    _, week = course
    raw = course_tree.as_file(solved(week))
    verdict = course_tree.verdict(week, raw)
    done = recorded(course, raw, dataclasses.replace(verdict, exercises=verdict.exercises[:1]))
    assert "says nothing about check-masked_mean" in done.problem
    assert held(course).auto["masked_mean"] is None


def test_a_gradebook_that_disagrees_is_noticed(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    _, week = course

    def forge(self: Any, cell: Any, resources: Any) -> None:
        grade = self.gradebook.find_grade(
            cell.metadata["nbgrader"]["grade_id"], self.notebook_id, self.assignment_id, self.student_id
        )
        grade.auto_score = 0.5
        self.gradebook.db.commit()

    monkeypatch.setattr(SaveAutoGrades, "_add_score", forge)
    done = recorded(course, course_tree.as_file(solved(week)))
    assert "the gradebook disagrees with the verdict" in done.problem
    assert set(held(course).auto.values()) == {None}


def test_a_submission_that_changed_meanwhile_is_not_given_the_old_score(course: Course) -> None:
    layout, week = course
    verdict = course_tree.verdict(week, course_tree.as_file(solved(week)))
    course_tree.hand_in(layout, week, "ann", b"something newer")
    (done,) = record.record(layout, week, {"ann": verdict})
    assert "something newer" in done.problem
    assert done.score is None


def test_a_manual_score_survives_grading_again(course: Course) -> None:
    layout, week = course
    raw = course_tree.as_file(solved(week))
    recorded(course, raw)
    with gradebook.opened(layout) as book:
        book.find_grade("check-blend", week.id, week.id, "ann").manual_score = 3.25
        book.db.commit()
    (done,) = record.record(layout, week, {"ann": course_tree.verdict(week, raw)}, again=True)
    assert done.changed
    assert held(course).auto["blend"] == 4.0
    assert (held(course).total, held(course).adjusted) == (5.25, True)


def test_recording_again_touches_nothing_and_a_lost_grade_is_put_back(course: Course) -> None:
    layout, week = course
    raw = course_tree.as_file(solved(week))
    verdict = course_tree.verdict(week, raw)
    assert recorded(course, raw, verdict).changed
    assert not recorded(course, raw, verdict).changed
    slower = dataclasses.replace(verdict, timings={"total_s": 99.0})
    assert not recorded(course, raw, slower).changed, "timings are no part of a judgement"
    with gradebook.opened(layout) as book:
        book.find_grade("check-blend", week.id, week.id, "ann").auto_score = 1.0
        book.db.commit()
    assert recorded(course, raw, verdict).changed
    assert held(course).auto["blend"] == 4.0


def test_one_failure_costs_only_that_submission(course: Course) -> None:
    layout, week = course
    raw = course_tree.as_file(solved(week))
    for student in ("ann", "ben", "eva"):
        course_tree.hand_in(layout, week, student, raw)
    verdict = course_tree.verdict(week, raw)
    bad = dataclasses.replace(verdict, exercises=[])
    done = record.record(layout, week, {"ann": verdict, "ben": bad, "eva": verdict})
    assert [bool(one.problem) for one in done] == [False, True, False]
    assert held(course, "eva").total == 6.0


def test_without_a_release_the_sentence_says_what_to_run(tmp_path: Path) -> None:
    layout, week = course_tree.make(tmp_path / "course")
    with pytest.raises(CourseBroken, match="course release --week 90"):
        record.record(layout, week, {})


def test_a_file_that_is_no_gradebook_is_named(course: Course) -> None:
    layout, week = course
    layout.gradebook.write_bytes(b"this is no database, whatever its name is" * 100)
    with pytest.raises(GradingError, match="cannot be opened as a gradebook"):
        gradebook.held(layout, week)


# -- two graders ---------------------------------------------------------------------------------------------


def hold(root: str, ready: Any, release_it: Any) -> None:
    with lock.locked(Layout(Path(root)), print):
        ready.set()
        release_it.wait(30)


@pytest.mark.slow
def test_a_second_grader_says_that_it_waits_and_then_goes_on(course: Course) -> None:
    layout, _ = course
    context = multiprocessing.get_context("spawn")
    ready, release_it = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(layout.root), ready, release_it))
    other.start()
    assert ready.wait(60)
    said: list[str] = []
    with pytest.raises(GradingError, match="is still grading for this course"):
        with lock.locked(layout, said.append, wait_s=0.5):
            pass
    assert len(said) == 1
    assert f"process {other.pid}" in said[0]
    release_it.set()
    started = time.monotonic()
    with lock.locked(layout, said.append, wait_s=30):
        assert time.monotonic() - started < 30
    other.join()


def test_messages_name_the_score_and_what_failed(course: Course) -> None:
    _, week = course
    raw = course_tree.as_file(
        course_tree.submission(
            week, {"masked_mean": "def masked_mean(values, keep):\n    return values.mean(dim=1)"}
        )
    )
    one = course_tree.verdict(week, raw).exercise("masked_mean")
    text = record.messages(one)
    assert text.startswith(f"{one.score:g} of 2 points: ")
    for check in one.checks:
        assert (check.claim in text) is (not check.passed)
