"""JupyterLab on one week, with formgrader alive in it.   lab.py WEEK [what jupyter lab takes ...]

A learner's kernel imports the week's edition of course_lib, which lacks what they are asked to write;
JupyterLab's own process, where formgrader lives, keeps the repository's.
"""

import json
import os
import sys
from pathlib import Path

from grading import editions, release
from grading.errors import GradingError, UsageError
from grading.layout import Layout
from grading.weeks import Week, all_weeks, find_week

ROOT = Path(__file__).resolve().parent.parent

# JupyterLab asks on its first start whether it may fetch news. A course runs without a network.
QUIET = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}


def week_to_open(layout: Layout, name: str) -> Week:
    """The week asked for; the first one for "all".

    Raises:
        UsageError: there is no such week, or its notebook has not been released.
    """
    weeks = all_weeks(layout)
    if not weeks:
        raise UsageError("this course has no weeks yet: no folder of solutions/ has a week.toml.")
    week = weeks[0] if name == "all" else find_week(layout, name)
    if not (layout.notebooks / week.id / f"{week.id}.ipynb").is_file():
        raise UsageError(
            f"{week.id} has not been released; write it with: make release WEEK={week.number:02}"
        )
    return week


def main(arguments: list[str]) -> int:
    layout = Layout(ROOT)
    try:
        week = week_to_open(layout, arguments[0] if arguments else "all")
        kernels = editions.kernel(layout, week)
        if not (layout.source / week.id).is_dir():
            release.stage(week, layout.source / week.id)  # formgrader lists what is staged
    except GradingError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return problem.exit_code

    overrides = Path(sys.prefix, "share/jupyter/lab/settings/overrides.json")
    if not overrides.exists():
        overrides.parent.mkdir(parents=True, exist_ok=True)
        overrides.write_text(json.dumps(QUIET) + "\n", encoding="utf-8")
    (layout.var / "exchange").mkdir(parents=True, exist_ok=True)

    # nbgrader calls alembic by name (without it formgrader waits for ever), and looks for the course where it
    # was started.
    os.chdir(ROOT)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    known = [str(kernels), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(known)
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    notebook = layout.notebooks / week.id / f"{week.id}.ipynb"
    where = [f"--ServerApp.root_dir={ROOT}", str(notebook)]  # else a named notebook's folder becomes the root
    command = [sys.executable, "-m", "jupyterlab", *as_root, *where, *arguments[1:]]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
