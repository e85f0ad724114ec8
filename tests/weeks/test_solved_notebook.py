"""The solved notebook runs from top to bottom where a learner runs it: in the week's edition, elsewhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import papermill
import pytest

from grading import editions, layout, notebooks, release
from grading.weeks import Week, all_weeks

COURSE = layout.find()

# What may differ between two runs: how long something took.
TIMES = r"""
[seconds]
regex: \d+(\.\d+)? ?(s|seconds|it/s|ms)\b
replace: TIME
"""


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the repository, and an environment in which nothing leads back to it."""
    for variable in ("PYTHONPATH", "COURSE_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(notebook: Any) -> list[Any]:
    return [cell.get("outputs", []) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("week", all_weeks(COURSE), ids=lambda week: week.id)
def test_the_solved_notebook_runs_and_says_the_same_again(
    week: Week, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(editions.kernel(COURSE, week)))
    solved, run = away / "solved.ipynb", away / "run.ipynb"
    solved.write_text(notebooks.dumps(release.solved(week)), encoding="utf-8")
    shutil.copytree(COURSE.notebooks / week.id / "figures", away / "figures")

    papermill.execute_notebook(
        str(solved), str(run), parameters={"FAST": True}, kernel_name="python3", progress_bar=False
    )

    found = json.loads(run.read_text(encoding="utf-8"))
    kinds = {output["output_type"] for cell in outputs(found) for output in cell}
    assert "error" not in kinds
    assert "display_data" in kinds or "execute_result" in kinds, "a notebook without a picture is not ours"
    said = " ".join(
        "".join(o.get("text", "")) for c in outputs(found) for o in c if o["output_type"] == "stream"
    )
    for name in week.points:
        assert f"{name}: " in said, f"the public checks of {name} did not report"
    complaints = [
        cell["metadata"].get("exercise") or cell["metadata"].get("check")
        for cell in found["cells"]
        if cell["cell_type"] == "code"
        and ("exercise" in cell["metadata"] or "check" in cell["metadata"])
        and any(o.get("name") == "stderr" for o in cell["outputs"])
    ]
    assert complaints == [], "a graded cell writes nothing to stderr"

    (away / "times.cfg").write_text(TIMES, encoding="utf-8")
    again = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval",
            str(run),
            "--nbval-sanitize-with",
            "times.cfg",
            "-q",
            "-p",
            "no:cacheprovider",
            "--nbval-cell-timeout",
            "300",
        ],
        cwd=away,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stdout[-6000:]
