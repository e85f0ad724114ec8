"""Editions: course_lib as a learner of one week gets it.

An edition of week N lacks every module that week N or a later one withholds, because learners are asked to
write those. It has the week's public checks as `course_lib.checks`, and the frozen models as
`course_lib/_data/`. The folder goes first on the path of learners' and of grading kernels; the wheel carries
the same files to Colab.

An edition's folder is named by the hash of what is in it, so one that is there is never stale, and two
processes that build it at once build the same.
"""

import base64
import compileall
import hashlib
import io
import json
import os
import py_compile
import shutil
import sys
import time
import tomllib
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from grading.errors import CourseBroken
from grading.layout import Layout
from grading.store import work_folder
from grading.weeks import Week, all_weeks

CHECKS = "course_lib/checks.py"
DATA = "course_lib/_data"
KEEP_UNUSED_S = 24 * 3600
# The earliest time a zip can hold: a wheel must not depend on when it was built.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def withheld(layout: Layout, week: Week) -> set[str]:
    """Dotted names of the modules that the edition of `week` lacks.

    Raises:
        CourseBroken: a week withholds a module that does not exist.
    """
    names = {
        name for other in [*all_weeks(layout), week] if other.number >= week.number for name in other.withhold
    }
    for name in sorted(names):
        if not name.startswith("course_lib.") or not _paths(layout, name):
            raise CourseBroken(
                f"a week withholds {name}, which is no module of course_lib; correct its week.toml."
            )
    return names


def files(layout: Layout, week: Week) -> dict[str, bytes]:
    """Everything in the edition, by its path inside it. An allow-list: course_lib's Python, the checks, named
    data.
    """
    gone = {path for name in withheld(layout, week) for path in _paths(layout, name)}
    found: dict[str, bytes] = {}
    for path in sorted(layout.course_lib.rglob("*")):
        inside = path.relative_to(layout.course_lib)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if (
            path.is_file()
            and not hidden
            and path.suffix in (".py", ".js", ".css")
            and inside.parts[0] != "_data"
        ):
            if not any(path == lost or lost in path.parents for lost in gone):
                found[f"course_lib/{inside.as_posix()}"] = path.read_bytes()
    if CHECKS in found:
        raise CourseBroken(
            "course_lib/checks.py exists; that name belongs to a week's public checks, in solutions/."
        )
    checks = week.folder / "checks.py"
    if not checks.is_file():
        raise CourseBroken(f"{week.id} has no checks.py; a week's public checks ship with its notebook.")
    found[CHECKS] = checks.read_bytes()
    for name, content in data(layout).items():
        found[f"{DATA}/{name}"] = content
    return found


def ensure(layout: Layout, week: Week) -> Path:
    """The folder of the edition, to be put first on a path. Built when it is not there."""
    content = files(layout, week)
    return _kept(layout, week, digest(content), lambda place: _write(place, content))


def wheel(layout: Layout, week: Week) -> Path:
    """The edition as a wheel. It asks for no packages, so installing it can replace none."""
    content = files(layout, week)
    mark = digest(content)
    name = f"seeing_course_{week.id.split('_')[0]}"
    version = f"{_version(layout)}+g{mark[:10]}"
    file = f"{name}-{version}-py3-none-any.whl"

    def build(place: Path) -> None:
        place.mkdir(parents=True)
        (place / file).write_bytes(_wheel_bytes(content, name, version, week))

    return _kept(layout, week, f"{mark}-wheel", build) / file


def kernel(layout: Layout, week: Week) -> Path:
    """A Jupyter data folder (for JUPYTER_PATH) whose kernels import the edition.

    It holds `course-week02`, and `python3`, the name that a released notebook asks for: JupyterLab started
    with this folder opens learners' notebooks on the edition, while its own process keeps the repository's
    course_lib.
    """
    edition = ensure(layout, week)
    short = week.id.split("_")[0]
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"Python 3 (course, {short})",
        "language": "python",
        "env": {"PYTHONPATH": str(edition), "PYTHONSAFEPATH": "1"},
        "metadata": {"debugger": True},
    }
    text = json.dumps(spec, indent=1) + "\n"
    content = {f"kernels/{name}/kernel.json": text.encode() for name in (f"course-{short}", "python3")}
    return _kept(layout, week, f"{digest(content)}-jupyter", lambda place: _write(place, content))


def digest(content: Mapping[str, bytes]) -> str:
    """One hash over names and bytes."""
    total = hashlib.sha256()
    for name in sorted(content):
        total.update(f"{name}\0{len(content[name])}\0".encode() + content[name])
    return total.hexdigest()[:24]


# -- building --------------------------------------------------------------------------------------------


def _kept(layout: Layout, week: Week, mark: str, build: Callable[[Path], None]) -> Path:
    """The folder `mark`, built beside its place and moved there in one step."""
    home = layout.editions / week.id
    place = home / mark
    if not place.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with work_folder(home) as folder:
            work = Path(folder)
            build(work / mark)
            # A kernel may not write here, so its compiled files come with it, named for their final place.
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # a module's own SyntaxWarning is its author's business, elsewhere
                compileall.compile_dir(
                    work / mark,
                    quiet=2,
                    stripdir=str(work / mark),
                    prependdir=str(place),
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                )
            for path in [work / mark, *(work / mark).rglob("*")]:
                path.chmod(
                    0o755 if path.is_dir() else 0o644
                )  # another user's kernel reads it, whatever the umask
            try:
                (work / mark).rename(place)
            except OSError:
                if not place.is_dir():
                    raise
                # another process was first, with the same bytes
        _forget_unused(home, place)
    try:
        os.utime(place)
    except OSError:
        pass  # a read-only place is still a good edition
    return place


def _write(place: Path, content: Mapping[str, bytes]) -> None:
    for name, raw in content.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def _forget_unused(home: Path, new: Path) -> None:
    """Editions are rebuilt at any change; those that nobody asked for in a day go."""
    for old in home.iterdir():
        try:
            if old != new and time.time() - old.stat().st_mtime > KEEP_UNUSED_S:
                shutil.rmtree(old, ignore_errors=True)
        except FileNotFoundError:
            continue


def sources(layout: Layout, module: str) -> list[Path]:
    """The Python files of a module: one, or those of a package."""
    return [
        p
        for path in _paths(layout, module)
        for p in ([path] if path.is_file() else sorted(path.rglob("*.py")))
    ]


def _paths(layout: Layout, module: str) -> list[Path]:
    """Where a module's source is: a file, or a package's folder."""
    stem = layout.course_lib.joinpath(*module.split(".")[1:])
    return [
        path for path in (stem.with_suffix(".py"), stem) if path.is_file() or (path / "__init__.py").is_file()
    ]


def data(layout: Layout) -> dict[str, bytes]:
    """The files that data/manifest.json names, and itself, by name.

    Raises:
        CourseBroken: one is missing, or has another hash than the manifest says: a wrong model must not ship.
    """
    folder = layout.data
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return {}  # a course without models of its own
    try:
        entries = json.loads(manifest.read_bytes())["files"]
        named = {str(name): str(entry["sha256"]) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise CourseBroken(
            f"data/manifest.json cannot be read ({problem!r}); restore it with `git checkout -- data`."
        ) from None
    found = {"manifest.json": manifest.read_bytes()}
    for name, expected in sorted(named.items()):
        if Path(name).name != name:
            raise CourseBroken(f"data/manifest.json names {name}, which is not a file of data/ itself.")
        try:
            raw = (folder / name).read_bytes()
        except OSError as problem:
            raise CourseBroken(
                f"data/{name} cannot be read ({problem.strerror}); restore it with `git checkout -- data`."
            ) from None
        seen = hashlib.sha256(raw).hexdigest()
        if seen != expected:
            raise CourseBroken(
                f"data/{name} has the hash {seen[:12]}…, the manifest says {expected[:12]}…; "
                "restore it with `git checkout -- data`."
            )
        found[name] = raw
    return found


def _version(layout: Layout) -> str:
    try:
        return str(
            tomllib.loads((layout.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        )
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "0"


def _wheel_bytes(content: Mapping[str, bytes], name: str, version: str, week: Week) -> bytes:
    info = f"{name}-{version}.dist-info"
    about = {
        f"{info}/METADATA": (
            "Metadata-Version: 2.1\n"
            f"Name: {name.replace('_', '-')}\nVersion: {version}\n"
            f"Summary: What the notebook of week {week.number} imports: {week.title}\n"
            "License: Apache-2.0\nRequires-Python: >=3.11\n"
        ).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: course\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/top_level.txt": b"course_lib\n",
    }
    members = {**content, **about}
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(members[path]).digest()).rstrip(b'=').decode()},"
        f"{len(members[path])}\n"
        for path in sorted(members)
    )
    members[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as written:
        for path in [*sorted(content), *sorted(set(members) - set(content))]:
            entry = zipfile.ZipInfo(path, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o100644 << 16
            written.writestr(entry, members[path])
    return archive.getvalue()
