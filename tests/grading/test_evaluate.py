"""Evaluating one submission and a class: repeatable, resumable, and honest about whose fault it is."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import grading
from grading import box, evaluation, sandbox, workers
from grading.errors import CourseBroken, SubmissionError, UsageError
from grading.evaluation import Done, Item, evaluate, evaluate_many
from grading.records import Verdict
from grading.store import Store
from grading.weeks import load_week
from tests.fixtures import blending, processes
from tests.fixtures.blending import BLEND, IMPORTS, MASKED_MEAN, SOLUTION, cell, notebook

pytestmark = pytest.mark.slow  # whole notebooks are run

SECRET = bytes(32)


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blending.edition(tmp_path_factory.mktemp("evaluate-edition"))


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {exercise.id: exercise.outcome for exercise in verdict.exercises}


def test_a_solution_gets_full_marks_and_its_experiments_are_not_run(edition: Path) -> None:
    week = blending.week()
    released = [dict(one, outputs=[]) for one in week.cells()]
    verdict = evaluate(notebook(*released), week, edition, seed=5)
    assert (verdict.score, verdict.max, verdict.sandbox) == (6.0, 6.0, "bubblewrap")
    assert outcomes(verdict) == {"blend": "right", "masked_mean": "right"}
    assert verdict.notes == []
    assert (verdict.week, verdict.suite, verdict.seed) == ("week90_blending", week.suite, 5)


def test_an_experiment_is_known_by_metadata_or_by_its_source_and_never_hides_an_exercise(
    edition: Path,
) -> None:
    week = blending.week()
    boom = "raise RuntimeError('an experiment was run')"
    cells = [
        IMPORTS,
        cell(boom, experiment="x"),
        cell(boom, course={"experiment": "x"}),
        'raise RuntimeError("an experiment was run while grading")',
        cell(BLEND, experiment="moved here"),
        cell(MASKED_MEAN, course={"experiment": "moved here"}),
        boom,
    ]
    verdict = evaluate(notebook(*cells), week, edition, seed=5)
    assert verdict.score == 6.0
    assert verdict.notes == [
        "Cell 7 (raise RuntimeError('an experiment was run')) raised RuntimeError: an experiment was run."
    ]


def test_the_same_submission_and_seed_give_the_same_bytes_apart_from_timings(edition: Path) -> None:
    content = notebook(IMPORTS, BLEND.replace("tanh", "sigmoid"), "raise ValueError(object())", MASKED_MEAN)
    texts = [
        dataclasses.replace(evaluate(content, blending.week(), edition, seed=5), timings={}).to_json()
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    other = evaluate(content, blending.week(), edition, seed=6)
    seen = [check.seen for check in other.exercises[0].checks]
    assert seen != [check["seen"] for check in json.loads(texts[0])["exercises"][0]["checks"]]


def test_a_misconception_is_named_across_the_sandbox(edition: Path) -> None:
    verdict = evaluate(notebook(IMPORTS, BLEND.replace("tanh", "sigmoid")), blending.week(), edition, seed=5)
    blend = verdict.exercise("blend")
    assert (blend.misconception, blend.score) == ("sigmoid_gate", 0.8)
    assert blend.tell is not None
    assert "half open" in blend.tell
    assert verdict.exercise("masked_mean").outcome == "missing"


def test_an_untouched_notebook_scores_nothing(edition: Path) -> None:
    gaps = [
        "class Blend(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n"
        "        raise NotImplementedError('week 90, exercise blend')",
        "def masked_mean(values, keep):\n    raise NotImplementedError('week 90, exercise masked_mean')",
    ]
    verdict = evaluate(notebook(IMPORTS, *gaps), blending.week(), edition, seed=5)
    assert verdict.score == 0.0
    assert set(outcomes(verdict).values()) == {"not written"}
    assert verdict.notes == []


def test_an_exercise_that_ends_the_kernel_costs_its_own_marks_only(edition: Path) -> None:
    deadly = BLEND.replace("return left", "import os; os._exit(1)\n        return left")
    verdict = evaluate(notebook(IMPORTS, deadly, MASKED_MEAN), blending.week(), edition, seed=5)
    assert outcomes(verdict) == {"blend": "crashed", "masked_mean": "right"}
    assert verdict.score == 2.0
    # The first, a second chance with definitions alone, and one for the exercises after it.
    assert verdict.timings["kernels"] == 3
    assert "the kernel died: its process ended" in verdict.exercise("blend").checks[0].seen


@pytest.mark.slow
def test_an_endless_exercise_and_an_endless_cell_are_too_slow(edition: Path) -> None:
    week = blending.week(cell_s=3.0, question_s=1.0)
    verdict = evaluate(
        notebook(IMPORTS, BLEND, "while True: pass", "def masked_mean(v, k):\n    while True: pass"),
        week,
        edition,
        seed=5,
    )
    assert outcomes(verdict) == {"blend": "right", "masked_mean": "too slow"}
    assert verdict.notes == [
        "Cell 3 (while True: pass) ran longer than 3 seconds, the most that a cell may take, "
        "and was interrupted."
    ]
    assert verdict.exercise("masked_mean").checks[0].seen == (
        "it gave no answer within 1 second, the most that a question may take"
    )


@pytest.mark.slow
def test_a_submission_has_a_time_of_its_own_and_definitions_still_count(edition: Path) -> None:
    week = blending.week(submission_s=20.0, cell_s=20.0)
    sleeps = ["import time; time.sleep(9)"] * 4
    verdict = evaluate(notebook(IMPORTS, BLEND, *sleeps, MASKED_MEAN), week, edition, seed=5)
    assert verdict.score == 6.0
    assert verdict.timings["total_s"] < 20
    assert "was not run" in verdict.notes[-1]


def test_a_broken_reference_is_raised_and_never_scored(edition: Path, tmp_path: Path) -> None:
    folder = tmp_path / "week90_blending"
    shutil.copytree(blending.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    hidden = folder / "hidden" / "masked_mean.py"
    hidden.write_text(hidden.read_text().replace("torch.tensor(0), look=", "torch.tensor(1), look="))
    with pytest.raises(CourseBroken, match="inputs_are_left_alone"):
        evaluate(notebook(*SOLUTION), load_week(folder), edition, seed=5)
    assert processes.left() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"nbformat": 3, "worksheets": []}', "nbformat 3"),
        (b"[" * 100_000, "JSON|nested"),
        (b"[]", "not a notebook"),
    ],
)
def test_what_is_no_notebook_is_said_in_one_sentence(edition: Path, content: bytes, words: str) -> None:
    with pytest.raises(SubmissionError, match=words):
        evaluate(content, blending.week(), edition, seed=5)


def test_a_submission_is_read_within_its_size_and_never_through_a_link(tmp_path: Path) -> None:
    limits = blending.week().limits
    huge = tmp_path / "huge.ipynb"
    with huge.open("wb") as file:
        file.truncate(200 << 20)
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    for path, words in (
        (huge, "200 MB"),
        (tmp_path, "folder"),
        (tmp_path / "no", "not exist"),
        (tmp_path / "link.ipynb", "link"),
    ):
        with pytest.raises(SubmissionError, match=words):
            evaluation.read(path, limits)


def test_seeds_are_secret_repeatable_and_fit_into_every_json_reader() -> None:
    one = evaluation.seed_for(SECRET, "a", "s")
    assert one == evaluation.seed_for(SECRET, "a", "s")
    others = {
        evaluation.seed_for(SECRET, "b", "s"),
        evaluation.seed_for(SECRET, "a", "t"),
        evaluation.seed_for(b"x" * 32, "a", "s"),
    }
    assert len({one, *others}) == 4
    assert all(0 <= seed < 1 << 53 for seed in {one, *others})


def test_the_plain_door_needs_a_notebook_and_a_week(edition: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    path.write_bytes(notebook(*SOLUTION))
    verdict = grading.evaluate(path, blending.FOLDER, edition=edition)
    assert verdict.score == 6.0
    again = grading.evaluate(path.read_bytes(), blending.week(), edition=edition, seed=verdict.seed)
    assert dataclasses.replace(again, timings={}) == dataclasses.replace(verdict, timings={})
    with pytest.raises(UsageError, match="there is no week 'week99'"):
        grading.evaluate(path, "week99", edition=edition)


def test_importing_grading_is_light() -> None:
    code = "import sys, grading; print([m for m in ('torch', 'papermill', 'nbformat') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


# -- a class ---------------------------------------------------------------------------------------------


@pytest.fixture
def handed_in(tmp_path: Path) -> list[Item]:
    contents = {
        "ada": notebook(*SOLUTION),
        "ben": notebook(IMPORTS, MASKED_MEAN),
        "cem": b"not a notebook",
        "dot": notebook(*SOLUTION),
        "eve": notebook(IMPORTS, "import os; os.kill(os.getppid(), 9)", BLEND),
    }
    items = []
    for name, content in contents.items():
        path = tmp_path / f"{name}.ipynb"
        path.write_bytes(content)
        items.append(Item(name, path))
    return items


def run(items: list[Item], edition: Path, store: Store, **options: Any) -> list[Done]:
    return evaluate_many(items, blending.week(), edition, store=store, secret=SECRET, **options)


@pytest.mark.slow
def test_a_class_is_graded_once_and_found_again(edition: Path, tmp_path: Path, handed_in: list[Item]) -> None:
    store, told = Store(tmp_path / "verdicts"), []
    done = run(handed_in, edition, store, workers=2, on_done=told.append)
    scores = {one.item.name: one.verdict.score if one.verdict else None for one in done}
    assert scores == {"ada": 6.0, "ben": 2.0, "cem": 0.0, "dot": 6.0, "eve": 4.0}
    assert [one.item.name for one in done] == ["ada", "ben", "cem", "dot", "eve"]
    assert sorted(one.item.name for one in told) == ["ada", "ben", "cem", "dot", "eve"]
    assert {one.item.name for one in done if one.stored} == {"dot"}  # the same bytes as ada's
    unreadable = done[2].verdict
    assert unreadable is not None
    assert set(outcomes(unreadable).values()) == {"unreadable"}
    assert "not JSON" in unreadable.notes[0]
    for one in done:
        assert one.verdict is not None
        assert store.get("week90_blending", one.verdict.submission, one.verdict.suite) == one.verdict

    started = time.monotonic()
    second = run(handed_in, edition, store)
    assert time.monotonic() - started < 1
    assert [one.verdict for one in second] == [one.verdict for one in done]
    assert all(one.stored for one in second)
    assert processes.left() == []


def test_a_missing_file_a_folder_and_a_file_too_large_get_their_sentence(
    edition: Path, tmp_path: Path
) -> None:
    with (tmp_path / "large.ipynb").open("wb") as file:
        file.truncate(6 << 20)
    items = [Item(name, tmp_path / name) for name in ("gone.ipynb", ".", "large.ipynb")]
    notes = [one.verdict.notes[0] for one in run(items, edition, Store(tmp_path / "v")) if one.verdict]
    assert len(notes) == 3
    assert "does not exist" in notes[0]
    assert "folder" in notes[1]
    assert "6 MB" in notes[2]


def test_an_error_nobody_foresaw_beside_a_worker_is_a_problem_and_never_a_wait(
    edition: Path, tmp_path: Path, handed_in: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(stream: Any, message: Any) -> None:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(workers, "_write", broken)
    (done,) = run(handed_in[:1], edition, Store(tmp_path / "v"), workers=1)
    assert done.verdict is None
    assert "nobody foresaw this" in str(done.problem)


def is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):  # a child of an earlier test may leave just now
        return "grading.workers" in process.cmdline()
    return False


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_the_job_done(
    edition: Path, tmp_path: Path, handed_in: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker is killed as soon as it has a job; the second attempt succeeds."""
    killed = []
    write = workers._write

    def write_and_kill(stream: Any, message: Any) -> None:
        write(stream, message)
        if not killed:
            (worker,) = [p for p in psutil.Process().children() if is_worker(p)]
            worker.kill()
            killed.append(worker.pid)

    monkeypatch.setattr(workers, "_write", write_and_kill)
    (done,) = run(handed_in[:1], edition, Store(tmp_path / "v"), workers=1)
    assert killed
    assert done.verdict is not None
    assert done.verdict.score == 6.0


@pytest.mark.slow
def test_a_fault_of_ours_is_listed_for_review_and_never_a_mark(
    edition: Path, tmp_path: Path, handed_in: list[Item]
) -> None:
    folder = tmp_path / "week90_blending"
    shutil.copytree(blending.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    hidden = folder / "hidden" / "masked_mean.py"
    hidden.write_text(hidden.read_text().replace("torch.tensor(0), look=", "torch.tensor(1), look="))
    store = Store(tmp_path / "v")
    (done,) = evaluate_many(handed_in[:1], load_week(folder), edition, store=store, secret=SECRET)
    assert done.verdict is None
    assert done.problem is not None
    assert "inputs_are_left_alone" in done.problem
    assert store.all("week90_blending") == []


@pytest.mark.slow
def test_ctrl_c_in_the_middle_keeps_what_is_done_and_the_next_run_goes_on(
    edition: Path, tmp_path: Path
) -> None:
    for number in range(6):
        (tmp_path / f"{number}.ipynb").write_bytes(
            notebook(*SOLUTION, f"import time; time.sleep({1 + number / 10})")
        )
    store = Store(tmp_path / "verdicts")
    code = f"""
from pathlib import Path
from grading.evaluation import Item, evaluate_many
from grading.store import Store
from tests.fixtures import blending
if __name__ == "__main__":
    here = Path({str(tmp_path)!r})
    items = [Item(str(n), here / f"{{n}}.ipynb") for n in range(6)]
    try:
        evaluate_many(items, blending.week(), Path({str(edition)!r}), store=Store(here / "verdicts"),
                      secret=bytes(32), workers=2, on_done=lambda one: print(one.item.name, flush=True))
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""
    root = str(Path(grading.__file__).parent.parent)
    grader = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert grader.stdout is not None
    grader.stdout.readline()
    family = psutil.Process(grader.pid).children(recursive=True)
    assert family
    grader.send_signal(signal.SIGINT)
    said, _ = grader.communicate(timeout=60)
    assert said.splitlines()[-1] == "stopped"
    assert sandbox.wait_until(lambda: all(sandbox.gone(p.pid) for p in family), 10)
    before = len(store.all("week90_blending"))
    assert 1 <= before < 6
    done = run([Item(str(n), tmp_path / f"{n}.ipynb") for n in range(6)], edition, store)
    assert [one.verdict.score for one in done if one.verdict] == [6.0] * 6
    assert sum(one.stored for one in done) == before
    assert len(store.all("week90_blending")) == 6


@pytest.mark.slow
def test_workers_end_with_a_grader_that_is_killed(edition: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_bytes(notebook(IMPORTS, "import time; time.sleep(15)"))
    code = f"""
from pathlib import Path
from grading.evaluation import Item, evaluate_many
from grading.store import Store
from tests.fixtures import blending

evaluate_many([Item("a", Path({str(tmp_path / "a.ipynb")!r}))], blending.week(), Path({str(edition)!r}),
              store=Store(Path({str(tmp_path / "v")!r})), secret=bytes(32), workers=1)
"""
    root = str(Path(grading.__file__).parent.parent)
    grader = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root})
    us = psutil.Process(grader.pid)
    assert sandbox.wait_until(
        lambda: any("bwrap" in p.name() for p in us.children(recursive=True) if p.is_running()), 60
    )
    time.sleep(1)
    family = us.children(recursive=True)
    grader.kill()
    grader.wait()
    assert sandbox.wait_until(lambda: all(sandbox.gone(p.pid) for p in family), 15)
    box.sweep()
    assert not list(Path("/tmp").glob(f"{box.SHARE_PREFIX}{family[0].pid}-*"))
