"""The boxed kernel by its name: programs that know nothing of boxes run a notebook in one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grading import box, kernel_spec
from tests.fixtures import blending

pytestmark = pytest.mark.slow

ASKS = """
import os, sys, torch
found = {
    "number": os.getpid(),
    "modules": "torch" in sys.modules,
    "edition": __import__("course_lib").__file__,
    "secret": os.path.exists(SECRET),
    "environment": "COURSE_CANARY" in os.environ,
}
print(__import__("json").dumps(found))
"""
DRAWS = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernel-spec")


@pytest.fixture(scope="module")
def name(place: Path) -> str:
    return kernel_spec.install(blending.week(), blending.edition(place / "edition"), place)


def run(place: Path, name: str, *command: str, **environment: str) -> dict[str, Any]:
    """Run a program on a notebook that asks where it is; what it printed, from the notebook written."""
    cells = [nbformat.v4.new_code_cell(text) for text in (f"SECRET = {__file__!r}\n{ASKS}", DRAWS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    # Of some other kernel, as a submission's may be: the name on the command line decides.
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, place / "in.ipynb")
    before = set(Path("/tmp").glob(f"{box.SHARE_PREFIX}*"))
    filled = [word.format(place=place, name=name) for word in command]
    done = subprocess.Popen(
        [sys.executable, "-m", *filled],
        env={
            **os.environ,
            "JUPYTER_PATH": str(place / "share" / "jupyter"),
            "COURSE_CANARY": "x",
            **environment,
        },
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, _ = done.communicate(timeout=240)
    assert done.returncode == 0, said
    # Other graders may be at work on this machine; this one's folders are gone.
    left = set(Path("/tmp").glob(f"{box.SHARE_PREFIX}{done.pid}-*")) - before
    assert not left
    out = nbformat.read(place / "out.ipynb", 4)
    drawn = [output for output in out.cells[1].outputs if "image/png" in output.get("data", {})]
    assert len(drawn) == 1
    found: dict[str, Any] = json.loads(out.cells[0].outputs[0].text)
    return found


WITH = {
    "papermill": ["papermill", "{place}/in.ipynb", "{place}/out.ipynb", "-k", "{name}"],
    "nbclient": [
        *("nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.kernel_name={name}"),
        *("--output", "{place}/out.ipynb", "{place}/in.ipynb"),
    ],
}


@pytest.mark.parametrize("program", WITH)
def test_a_program_that_knows_nothing_of_boxes_runs_a_notebook_in_one(
    program: str, place: Path, name: str
) -> None:
    found = run(place, name, *WITH[program])
    assert found["number"] == 2, "number 1 of a fork's namespace waits for it"
    assert found["edition"].startswith(f"{box.INSIDE}/edition")
    assert not found["secret"]
    assert not found["environment"]


def test_nbgrader_grades_a_class_with_it(place: Path, name: str) -> None:
    """Its own executor, several submissions in one process: forks of one warm parent."""
    course = place / "course"
    cell = nbformat.v4.new_code_cell(
        "import os\nassert os.getpid() == 2\nassert not os.path.exists('/etc/passwd')"
    )
    cell.metadata["nbgrader"] = {
        **{"grade": True, "grade_id": "here", "locked": True, "points": 3, "schema_version": 3},
        **{"solution": False, "cell_type": "code", "task": False},
    }
    notebook = nbformat.v4.new_notebook(cells=[cell])
    source = course / "source" / "ps1" / "p.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(notebook, source)
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'any'\n"
        f"c.ExecutePreprocessor.kernel_name = {name!r}\n"
    )
    # nbgrader calls alembic by name.
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": found, "JUPYTER_PATH": str(place / "share" / "jupyter")}

    def nbgrader(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words],
            **{"cwd": course, "env": environment, "timeout": 240, "capture_output": True, "text": True},
        )
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment", "ps1")
    for student in ("ada", "bob"):
        handed = course / "submitted" / student / "ps1" / "p.ipynb"
        handed.parent.mkdir(parents=True)
        handed.write_bytes((course / "release" / "ps1" / "p.ipynb").read_bytes())
    nbgrader("autograde", "ps1")
    nbgrader("export", "--to", "grades.csv")
    rows = (course / "grades.csv").read_text().splitlines()
    score = rows[0].split(",").index("score")
    given = {
        row.split(",")[rows[0].split(",").index("student_id")]: row.split(",")[score] for row in rows[1:]
    }
    assert given == {"ada": "3.0", "bob": "3.0"}


def test_without_its_edition_it_says_what_to_do(place: Path, tmp_path: Path) -> None:
    gone = kernel_spec.install(blending.week(), tmp_path / "nowhere", tmp_path)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(notebook, tmp_path / "in.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "-k", gone],
        **{"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120},
        env={**os.environ, "JUPYTER_PATH": str(tmp_path / "share" / "jupyter")},
    )
    assert done.returncode != 0
    assert "nowhere, which is not there any more; run `course kernel` again." in done.stderr


def test_the_provisioner_is_registered_where_the_project_is_installed() -> None:
    assert kernel_spec.is_registered()
