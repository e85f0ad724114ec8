"""`make lab`: JupyterLab starts on a week, its kernels get the edition, formgrader lists the assignment."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PARTS = (
    ".make",
    "course_lib",
    "data",
    "grading",
    "notebooks",
    "solutions",
    "nbgrader_config.py",
    "pyproject.toml",
)


def copied(place: Path) -> Path:
    """The course in a folder of its own, with a space in its name; formgrader makes its gradebook in it."""
    place = place / "a course"
    place.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place / name)
    return place


def start(course: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ".make/lab.py", *arguments],
        cwd=course,
        env={**os.environ, "PYTHONPATH": str(course), "HOME": str(course), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(the course, the server's address) of a running JupyterLab. PATH lacks the environment on purpose."""
    course = copied(tmp_path_factory.mktemp("lab"))
    running = tmp_path_factory.mktemp("running")
    process = start(
        course,
        *("all", "--no-browser", "--port=0", "--ServerApp.token=a-token", "--ServerApp.ip=127.0.0.1"),
        JUPYTER_RUNTIME_DIR=str(running),
        PATH="/usr/bin:/bin",
    )
    try:
        deadline = time.monotonic() + 60
        while not (found := list(running.glob("jpserver-*.json"))):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "JupyterLab did not start within a minute"
            time.sleep(0.2)
        yield course, json.loads(found[0].read_text())["url"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ask(lab: tuple[Path, str], path: str) -> Any:
    request = urllib.request.Request(lab[1] + path, headers={"Authorization": "token a-token"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def first_week(course: Path) -> str:
    return min(path.parent.name for path in course.glob("solutions/week*/week.toml"))


@pytest.mark.slow
@pytest.mark.e2e
def test_formgrader_lists_the_first_week(lab: tuple[Path, str]) -> None:
    listed = {one["name"]: one for one in ask(lab, "formgrader/api/assignments")}
    assert first_week(lab[0]) in listed
    assert (lab[0] / "var/gradebook.db").is_file(), "formgrader used another course's gradebook"


@pytest.mark.slow
@pytest.mark.e2e
def test_the_notebook_is_where_lab_opens_it(lab: tuple[Path, str]) -> None:
    week = first_week(lab[0])
    notebook = ask(lab, f"api/contents/notebooks/{week}/{week}.ipynb")
    assert notebook["content"]["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.slow
@pytest.mark.e2e
def test_a_learners_kernel_gets_the_edition_and_not_the_repository(lab: tuple[Path, str]) -> None:
    course = lab[0]
    spec = ask(lab, "api/kernelspecs/python3")["spec"]
    done = subprocess.run(
        [spec["argv"][0], "-c", "import course_lib; print(course_lib.__file__)"],
        cwd=course / "notebooks" / first_week(course),
        env={**os.environ, **spec["env"]},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(done.stdout.strip()).parent
    assert folder.is_relative_to(course / "build/editions")
    withheld = [
        path.stem for path in (course / "course_lib").glob("*.py") if not (folder / path.name).exists()
    ]
    assert withheld, "the edition lacks nothing, so it is no edition"
    for name in withheld:
        tried = subprocess.run(
            [spec["argv"][0], "-c", f"import course_lib.{name}"],
            cwd=course,
            env={**os.environ, **spec["env"]},
            capture_output=True,
            text=True,
        )
        assert f"No module named 'course_lib.{name}'" in tried.stderr


@pytest.mark.slow
def test_a_week_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    process = start(copied(tmp_path), "99")
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    (line,) = said.splitlines()
    assert "99" in line
    assert first_week(ROOT) in line
