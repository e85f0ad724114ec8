"""Can this machine teach, release and grade? One line each: [ok], or [fail] with what to do."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grading import editions, gradebook, launch, lock, machine, parent, sandbox
from grading.errors import GradingError
from grading.layout import Layout
from grading.weeks import all_weeks

PACKAGES = (
    *("torch", "numpy", "einops", "jaxtyping", "safetensors", "matplotlib", "ipywidgets"),
    *(
        "nbgrader",
        "papermill",
        "jupyter_client",
        "ipykernel",
        "jupyterlab",
        "jupytext",
        "nbformat",
        "nh3",
        "rich",
    ),
)
SPACE_MB = 500
SCRATCH_MB = 100


@dataclass(frozen=True)
class Finding:
    """One line. `needed_for` says what does not work when it is not ok."""

    ok: bool
    what: str
    advice: str = ""
    needed_for: str = "teach, release and grade"


def examine(layout: Layout) -> Iterator[Finding]:
    """Look at one thing after another; nothing here raises."""
    looks: list[Callable[[Layout], Finding]] = [
        *(_python, _packages, _course, _data, _places, _space, _home, _sandbox, _warm, _gradebook, _at_work),
        _secret,
    ]
    for look in looks:
        try:
            yield look(layout)
        except GradingError as problem:
            yield Finding(False, str(problem))
        except Exception as problem:
            name = look.__name__.strip("_")
            yield Finding(
                False, f"{name}: {type(problem).__name__}: {problem}", "this is a fault of the course"
            )


def _python(layout: Layout) -> Finding:
    version = platform.python_version()
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding(ok, f"Python {version}", "use Python 3.11, 3.12 or 3.13: make setup PYTHON=…")


def _packages(layout: Layout) -> Finding:
    missing, found = [], {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    shown = ", ".join(
        f"{name} {found[name]}" for name in ("torch", "nbgrader", "jupyterlab") if name in found
    )
    if missing:
        return Finding(False, f"packages: {', '.join(missing)} missing", "run `make setup`")
    different = _unlike_the_lock(layout)
    if different:
        return Finding(
            True, f"packages: {shown}; {len(different)} unlike requirements.txt: {', '.join(different[:4])}"
        )
    return Finding(True, f"packages: {shown}")


def _unlike_the_lock(layout: Layout) -> list[str]:
    lock = layout.root / "requirements.txt"
    if not lock.is_file():
        return []
    different = []
    for name, wanted in re.findall(r"^([\w.-]+)==([\w.]+)$", lock.read_text(encoding="utf-8"), re.MULTILINE):
        try:
            found = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
        if found != wanted:
            different.append(f"{name} {found}, not {wanted}")
    return different


def _course(layout: Layout) -> Finding:
    weeks = all_weeks(layout)
    released = [week.id for week in weeks if (layout.notebooks / week.id / f"{week.id}.ipynb").is_file()]
    unreleased = [week.id for week in weeks if week.id not in released]
    if not weeks:
        return Finding(False, f"no week in {layout.solutions}", "a week is a folder with a week.toml")
    note = f"; not released yet: {', '.join(unreleased)} (course release --week all)" if unreleased else ""
    return Finding(True, f"course at {layout.root}, {len(weeks)} week{'s' * (len(weeks) != 1)}{note}")


def _data(layout: Layout) -> Finding:
    files = editions.data(layout)
    size = sum(map(len, files.values())) / 2**20
    ok = len(files) > 1
    return Finding(
        ok,
        f"frozen models: {max(len(files) - 1, 0)} files, {size:.1f} MB, every hash is the manifest's",
        "restore them with `git checkout -- data`",
    )


def _places(layout: Layout) -> Finding:
    for folder in (layout.build, layout.var, layout.notebooks):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as problem:
            return Finding(
                False,
                f"{folder} cannot be written to ({problem.strerror})",
                "use --scratch DIR",
                "release and grade",
            )
    loose = [
        path for path in (layout.secret, layout.gradebook) if path.exists() and path.stat().st_mode & 0o007
    ]
    if layout.secret in loose:
        return Finding(
            False, f"{layout.secret} can be read by anybody", f"chmod 600 {layout.secret}", "grade"
        )
    return Finding(True, f"build/ and var/ can be written to, in {layout.build.parent}")


def _space(layout: Layout) -> Finding:
    there = next(path for path in (layout.build, *layout.build.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**20
    if free <= SPACE_MB:
        return Finding(False, f"disk: {free:.0f} MB free", "make room: grading keeps every submission")
    # A box's sockets and a worker's notes: little, but without it nothing starts.
    scratch = Path(tempfile.gettempdir())
    left = shutil.disk_usage(scratch).free / 2**20
    return Finding(
        left > SCRATCH_MB,
        f"disk: {free / 1024:.1f} GB free, {left / 1024:.1f} GB in {scratch}",
        f"make room in {scratch}, or name another folder in TMPDIR",
        "grade",
    )


def _home(layout: Layout) -> Finding:
    home = Path(os.path.expanduser("~"))
    if os.access(home, os.W_OK | os.X_OK) and not os.statvfs(home).f_flag & os.ST_RDONLY:
        return Finding(True, f"home: {home} can be written to")
    # Measured: grading writes nothing there, and a kernel has a home of its own in its box.
    return Finding(
        False,
        f"home: {home} cannot be written to; grading needs nothing there, JupyterLab does",
        "set HOME to a folder of your own for `make lab`",
        "teach",
    )


def _sandbox(layout: Layout) -> Finding:
    try:
        rung = sandbox.check(sandbox.BEST)
    except GradingError as problem:
        return Finding(False, f"sandbox: {problem}", "", "grade")
    weaker = sandbox.why_weaker(sandbox.BEST, rung)
    if weaker:
        return Finding(True, f"sandbox: {weaker}")
    who = "as root, so kernels run as another user" if os.geteuid() == 0 else "as you, without privileges"
    inside = machine.container()
    where = f", in {inside}" if inside else ""
    second = f", Landlock {launch.landlock_version()} and seccomp"
    return Finding(True, f"sandbox: {rung}{second}, self-test passed, {who}{where}")


def _warm(layout: Layout) -> Finding:
    """Not a failure: without one everything works, and a class takes about three times as long."""
    with tempfile.TemporaryDirectory() as edition:
        os.chmod(edition, 0o755)
        try:
            why = parent.why_cold(sandbox.check(sandbox.BEST), Path(edition), ())
        except GradingError:
            return Finding(True, "warm parent: not tried, for want of a sandbox")
        finally:
            parent.close_all()
    if why is None:
        return Finding(True, "warm parent: starts, self-test passed; a class's kernels are forked from it")
    return Finding(True, f"warm parent: kernels start one by one here, more slowly, because {why}")


def _gradebook(layout: Layout) -> Finding:
    if not layout.gradebook.is_file():
        return Finding(True, "gradebook: none yet; `course grade` makes it")
    with gradebook.opened(layout) as book:
        return Finding(True, f"gradebook: {len(book.assignments)} weeks, {len(book.students)} learners")


def _at_work(layout: Layout) -> Finding:
    busy = {what: lock.holder(layout, what) for what in ("grading", "collecting")}
    said = [f"{who} is {what}" for what, who in busy.items() if who]
    # Not a failure: a second one would wait.
    return Finding(True, f"at work on this course: {'; '.join(said) or 'nobody'}")


def _secret(layout: Layout) -> Finding:
    if not layout.secret.exists():
        return Finding(True, "secret of hidden inputs: none yet; `course grade` draws it")
    return Finding(True, "secret of hidden inputs: there, and yours alone to read")
