"""Every command ends with a sentence and the right exit code, and leaves nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course_lib.errors import DataError
from grading import cli, gradebook, release
from grading import layout as layouts
from grading.errors import SandboxError
from grading.layout import Layout
from grading.weeks import Week
from tests.fixtures import course_tree

Course = tuple[Layout, Week]
Run = Callable[..., "Ended"]


class Ended:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def sentence(self) -> str:
        """The one line that says what was wrong."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("course: ")]
        return line.removeprefix("course: ")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    layout, week = course_tree.make(tmp_path / "course")
    monkeypatch.setenv(layouts.ROOT_VARIABLE, str(layout.root))
    monkeypatch.chdir(layout.root)
    return layout, week


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`course …`, in this process."""

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        capfd.readouterr()
        code: Any = 0
        try:
            cli.main()
        except SystemExit as ending:
            code = ending.code or 0
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Ended(code, out, err)

    return call


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# -- names that do not exist ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["release", "grade", "report", "feedback", "export", "edition"])
def test_a_week_that_does_not_exist_is_named_with_a_guess(course: Course, run: Run, command: str) -> None:
    before = tree(course[0].root)
    ended = run(command, "--week", "week90_blendin")
    assert ended.code == 2
    assert ended.sentence.endswith("known: week90_blending. Did you mean week90_blending?")
    assert tree(course[0].root) == before


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["grade", "--workers", "0"], ["grade", "--no-such"], ["evaluate"]]
)
def test_wrong_usage_is_2(course: Course, run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 2


def test_outside_a_course_the_sentence_says_what_a_course_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    def nowhere(start: Path | None = None) -> Layout:
        return real(tmp_path)

    real = layouts.find
    monkeypatch.delenv(layouts.ROOT_VARIABLE, raising=False)
    monkeypatch.setattr(layouts, "__file__", str(tmp_path / "site-packages" / "grading" / "layout.py"))
    monkeypatch.setattr(layouts, "find", nowhere)
    ended = run("doctor")
    assert ended.code == 2
    assert "a course has solutions/ and course_lib/" in ended.sentence


# -- notebooks that are none ---------------------------------------------------------------------------------


def bad_notebook(folder: Path, kind: str) -> Path:
    path = folder / "submission.ipynb"
    if kind == "a folder":
        path.mkdir()
    elif kind == "200 MB":
        with path.open("wb") as file:
            file.truncate(200 << 20)
    elif kind != "missing":
        raw = {"empty": b"", "not JSON": b"{", "nbformat 3": b'{"nbformat": 3, "worksheets": []}'}[kind]
        path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "does not exist"),
        ("empty", "is empty"),
        ("not JSON", "is not JSON"),
        ("nbformat 3", "nbformat 3"),
        ("200 MB", "has 200 MB"),
        ("a folder", "is a folder"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_evaluate_says_what_is_wrong_with_a_file(
    course: Course, run: Run, tmp_path: Path, kind: str, says: str, as_json: bool
) -> None:
    ended = run("evaluate", bad_notebook(tmp_path, kind), "--week", "90", *(["--json"] if as_json else []))
    assert ended.code == 2
    assert says in ended.sentence
    assert ended.out == ""


# -- the machine, and the course -----------------------------------------------------------------------------


def test_without_a_sandbox_grading_refuses_and_keeps_what_it_has(
    course: Course, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grading import sandbox

    def none(*arguments: object, **options: object) -> str:
        raise SandboxError(
            "bubblewrap is not installed; install the package bubblewrap, or say --sandbox none."
        )

    monkeypatch.setattr(sandbox, "_check", none)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "ann.ipynb").write_bytes(course_tree.as_file(course_tree.submission(course[1])))
    ended = run("grade", inbox, "--week", "90")
    assert ended.code == 3
    assert "bubblewrap is not installed" in ended.sentence
    assert not gradebook.held(*course)
    assert (course[0].submitted / "ann").is_dir()
    doctor = run("doctor")
    assert doctor.code == 3
    assert "[fail] sandbox: bubblewrap is not installed" in doctor.out


def test_a_data_file_with_another_hash_is_the_courses_fault(course: Course, run: Run) -> None:
    layout, _ = course
    layout.data.mkdir()
    (layout.data / "model.safetensors").write_bytes(b"not the model")
    entry = {"sha256": "0" * 64}
    (layout.data / "manifest.json").write_text(json.dumps({"files": {"model.safetensors": entry}}))
    for command in (["release"], ["edition", "--week", "90"]):
        ended = run(*command)
        assert ended.code == 3
        assert "data/model.safetensors has the hash" in ended.sentence
        assert "git checkout -- data" in ended.sentence
    assert not layout.notebooks.exists() or not tree(layout.notebooks)


def test_course_libs_own_errors_end_in_a_sentence_too(
    course: Course, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise DataError("encoder.safetensors has another hash; restore it.")

    monkeypatch.setattr(release, "release", broken)
    ended = run("release")
    assert (ended.code, ended.sentence) == (3, "encoder.safetensors has another hash; restore it.")


def test_a_full_disk_is_a_sentence(course: Course, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/file")

    monkeypatch.setattr(release, "release", full)
    ended = run("release")
    assert ended.code == 2
    assert ended.sentence.startswith("/somewhere/file: No space left on device")


def test_a_read_only_checkout_is_told_about_scratch_and_works_with_it(
    course: Course, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = course
    real_mkdir = Path.mkdir

    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        # As root a mode does not make a folder read-only, so the folder says so itself.
        if path.is_relative_to(layout.root) and not path.exists():
            raise OSError(30, "Read-only file system", str(path))
        real_mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    inbox = tmp_path / "inbox"
    real_mkdir(inbox)
    (inbox / "ann.ipynb").write_bytes(b"{}")
    before = tree(layout.root)
    for command in (["collect", inbox, "--week", "90"], ["grade", "--week", "90"], ["report"], ["release"]):
        ended = run(*command)
        assert ended.code == 2
        assert "cannot be written to" in ended.sentence
        assert "--scratch" in ended.sentence
    assert tree(layout.root) == before
    scratch = tmp_path / "scratch"
    assert run("--scratch", scratch, "release").code == 0
    assert run("--scratch", scratch, "collect", inbox, "--week", "90").code == 0
    assert (scratch / "notebooks" / "week90_blending" / "week90_blending.ipynb").is_file()
    assert tree(layout.root) == before


def test_a_gap_in_an_authored_file_is_the_courses_fault(course: Course, run: Run) -> None:
    _, week = course
    (week.folder / "hidden" / "blend.py").write_text("this is not Python")
    ended = run("release")
    assert ended.code == 3
    assert "hidden/blend.py does not import" in ended.sentence
    assert "week90_blending" in ended.sentence


def test_nothing_to_do_is_said(course: Course, run: Run, tmp_path: Path) -> None:
    for command in ("grade", "report", "feedback", "export"):
        ended = run(command, "--week", "90")
        assert ended.code == 2
        assert "first" in ended.sentence
    ended = run("collect", tmp_path / "nothing", "--week", "90")
    assert (ended.code, "does not exist" in ended.sentence) == (2, True)
    (tmp_path / "empty").mkdir()
    ended = run("collect", tmp_path / "empty", "--week", "90")
    assert (ended.code, "holds no submission" in ended.sentence) == (2, True)


# -- what works ----------------------------------------------------------------------------------------------


def test_release_says_where_and_whether_it_changed(course: Course, run: Run) -> None:
    first, second = run("release", "--week", "90"), run("release")
    assert (first.code, second.code) == (0, 0)
    assert "week90_blending: written, 2 exercises, 6 points" in first.out
    assert "week90_blending: as it was" in second.out


def test_edition_prints_a_folder_and_nothing_else(course: Course, run: Run) -> None:
    for option, inside in (
        ("--kernel", "kernels/python3/kernel.json"),
        ("--wheel", ""),
        (None, "course_lib/checks.py"),
    ):
        ended = run("edition", "--week", "90", *([option] if option else []))
        (line,) = ended.out.splitlines()
        assert Path(line, inside).is_file()


def test_doctor_has_a_line_for_everything(course: Course, run: Run) -> None:
    ended = run("doctor")
    lines = ended.out.splitlines()
    assert len([line for line in lines if line.startswith(("[ok]", "[fail]"))]) == 12
    (models,) = [line for line in lines if "frozen models" in line]
    assert models.startswith("[fail]"), "this course has none"
    assert "git checkout -- data" in models


def test_help_is_there_without_waiting_for_torch() -> None:
    code = (
        "import sys; import grading.cli; print(sorted({'torch', 'nbgrader', 'papermill'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- a class, by the real grader -----------------------------------------------------------------------------


def course_command(course: Course, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "grading", *map(str, arguments)]


def hand_in_class(course: Course, inbox: Path) -> None:
    _, week = course
    inbox.mkdir()
    wrong = (week.folder / "misconceptions" / "blend" / "sigmoid_gate.py").read_text()
    slow = {
        "blend": "import time\ntime.sleep(4)\n"
        + (week.folder / "right" / "blend" / "expanded.py").read_text()
    }
    files: dict[str, bytes] = {
        "ann": course_tree.as_file(course_tree.submission(week)),
        "ben": course_tree.as_file(course_tree.submission(week, {"blend": wrong})),
        "eva": b"",
        "kim": course_tree.as_file(course_tree.submission(week, slow)),
        "lou": course_tree.as_file(course_tree.submission(week, {**slow, "masked_mean": "masked_mean = 3"})),
    }
    for name, raw in files.items():
        (inbox / f"{name}.ipynb").write_bytes(raw)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_class_is_graded_stopped_and_goes_on(course: Course, run: Run, tmp_path: Path) -> None:
    layout, week = course
    hand_in_class(course, tmp_path / "inbox")
    command = course_command(course, "grade", tmp_path / "inbox", "--week", "90", "--workers", "1")
    grader = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    give_up = time.monotonic() + 120
    while not list(layout.verdicts.rglob("*.json")) and grader.poll() is None and time.monotonic() < give_up:
        time.sleep(0.1)
    grader.send_signal(signal.SIGINT)
    _, err = grader.communicate(timeout=60)
    assert grader.returncode == 1, err
    assert "run the same command again" in err
    assert "Traceback" not in err
    kept = {path: path.read_bytes() for path in layout.verdicts.rglob("*.json")}
    assert kept, "what was judged is kept"
    assert not list(layout.verdicts.rglob("*.part"))

    ended = run("grade", tmp_path / "inbox", "--week", "90", "--workers", "2")
    assert ended.code == 0, ended.err
    assert all(path.read_bytes() == raw for path, raw in kept.items()), "and not judged a second time"
    held = gradebook.held(layout, week)
    assert {name: one.total for name, one in held.items()} == {
        "ann": 6.0,
        "ben": held["ben"].total,
        "eva": 0.0,
        "kim": 6.0,
        "lou": 4.0,
    }
    assert 2.0 <= held["ben"].total < 6.0
    assert "sigmoid gate: blend" in ended.out
    for name in held:
        assert (layout.feedback / name / f"{week.id}.html").is_file()

    stamp = layout.gradebook.stat().st_mtime_ns
    again = run("grade", "--week", "90")
    assert again.code == 0
    assert again.out.count("kept") == 5
    assert layout.gradebook.stat().st_mtime_ns >= stamp
    report = run("report", "--week", "90")
    assert report.code == 0
    assert "5 submissions" in report.out
    assert run("feedback").out.startswith("5 pages in ")
    assert run("export", "--format", "moodle").code == 0


@pytest.mark.e2e
@pytest.mark.slow
def test_evaluate_prints_the_verdict_as_the_course_promises(course: Course, run: Run, tmp_path: Path) -> None:
    _, week = course
    right, wrong = tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"
    right.write_bytes(course_tree.as_file(course_tree.submission(week)))
    wrong.write_bytes(course_tree.as_file(course_tree.submission(week, {"blend": "blend = None"})))
    ended = run("evaluate", right, "--week", "90", "--json")
    verdict = json.loads(ended.out)
    assert ended.code == 0
    assert {"week", "score", "max", "sandbox", "exercises"} <= set(verdict)
    assert (verdict["score"], verdict["max"], verdict["sandbox"]) == (6.0, 6.0, "bubblewrap")
    for exercise in verdict["exercises"]:
        assert {"id", "score", "max", "misconception", "checks", "outcome"} <= set(exercise)
        for check in exercise["checks"]:
            assert {"name", "passed", "claim", "seen", "look", "public"} <= set(check)
    assert (
        run("evaluate", right, "--week", "90", "--json").out.split('"timings"')[0]
        == ended.out.split('"timings"')[0]
    )
    failed = run("evaluate", wrong, "--week", "90")
    assert failed.code == 1
    assert "2 of 6 points" in failed.out
    assert os.environ[layouts.ROOT_VARIABLE]
