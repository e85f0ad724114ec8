"""Who may import whom. The rules are tables; the imports are read, not run."""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Every module of grading is one of these; one that is in no row fails the first test below.
SHARED = {"errors", "gradebook", "harmless", "layout", "limits", "lock", "notebooks", "pages", "records"}
SHARED |= {"store", "trouble", "weeks"}
STAGES = {
    "release": {"release", "editions"},
    "collect": {"collect"},
    "evaluate": {"evaluation", "session", "kernel", "kernel_spec", "ask", "judge", "workers", "machine"}
    | {"sandbox", "box", "launch", "calls", "probe", "locked", "keeper", "warm", "parent", "usage", "tap"},
    "record": {"record"},
    "feedback": {"feedback"},
    "report": {"report"},
    "export": {"export"},
}
# These run stages one after another, and no stage runs them. `__init__` is the plain door, grading.evaluate.
CONDUCTORS = {"__init__", "__main__", "calibrate", "cli", "demo", "doctor", "flow"}
CONDUCTORS |= {"bench", "bench_bakeoff", "bench_bridges", "bench_kernels", "bench_modules", "bench_sides"}
MODULES = SHARED | CONDUCTORS | {module for modules in STAGES.values() for module in modules}

# An outside tool enters by these modules of grading and by no other.
DOORS = {
    "jinja2": {"pages"},
    "jupyter_client": {"kernel", "kernel_spec"},
    "jupytext": {"weeks"},
    "nbgrader": {"collect", "export", "gradebook", "record", "release"},
    "nh3": {"harmless"},
    "papermill": {"kernel"},
    "pyseccomp": {"calls"},
}

# What a public check may use: it ships to learners, beside a notebook that has no answers in it.
IN_PUBLIC_CHECKS = {"course_lib.checking", "course_lib.stand_ins", "torch"}


def imported(source: str, package: str = "") -> set[str]:
    """Every module a source imports anywhere, dotted; relative ones resolved against `package`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            # `from grading import judge` imports grading.judge, or a name of grading: both readings are kept.
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(str(node.args[0].value))
    return names


def top(name: str) -> str:
    return name.split(".")[0]


def sources(pattern: str) -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(ROOT.glob(pattern))
        if path.is_file()
    }


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def package_of(path: str) -> str:
    return ".".join(path.split("/")[:-1])


def stage_of(module: str) -> str | None:
    return next((stage for stage, modules in STAGES.items() if module in modules), None)


# -- the rules, over any sources, so that they can be shown to fail ------------------------------------------


def strangers_in_course_lib(files: Mapping[str, str]) -> Iterator[str]:
    """course_lib ships alone: it imports nothing of ours."""
    for path, source in files.items():
        for name in imported(source, package_of(path)):
            if top(name) in ("grading", "solutions", "notebooks", "tests", "checks"):
                yield f"{path} imports {name}"


def stages_that_know_another(files: Mapping[str, str]) -> Iterator[str]:
    """A stage reads what the stage before it wrote, never the stage."""
    for path, source in files.items():
        module = Path(path).stem
        for name in imported(source, "grading"):
            other = name.split(".")[1] if name.startswith("grading.") else ""
            if other not in MODULES or other in SHARED or module in CONDUCTORS:
                continue
            if stage_of(module) is None or stage_of(other) != stage_of(module):
                yield f"{path} imports {name}"


def tools_by_another_door(files: Mapping[str, str]) -> Iterator[str]:
    for path, source in files.items():
        for name in imported(source, "grading"):
            if Path(path).stem not in DOORS.get(top(name), {Path(path).stem}):
                yield f"{path} imports {name}; its door is grading/{' or '.join(sorted(DOORS[top(name)]))}"


def public_checks_that_know_too_much(files: Mapping[str, str]) -> Iterator[str]:
    for path, source in files.items():
        for name in imported(source):
            ours = any(name == allowed or name.startswith(allowed + ".") for allowed in IN_PUBLIC_CHECKS)
            # `from course_lib import checking` reads as course_lib and course_lib.checking.
            if not ours and top(name) not in sys.stdlib_module_names and name != "course_lib":
                yield f"{path} imports {name}"


def authored_code_that_leans_on_the_machine(files: Mapping[str, str]) -> Iterator[str]:
    for path, source in files.items():
        for name in imported(source):
            if top(name) in ("grading", "nbgrader", "papermill", "tests", "notebooks", "solutions"):
                yield f"{path} imports {name}"


def nobody_may_import(files: Mapping[str, str]) -> Iterator[str]:
    for path, source in files.items():
        for name in imported(source, package_of(path)):
            if top(name) in ("notebooks", "solutions") or (
                top(name) == "tests" and not path.startswith("tests/")
            ):
                yield f"{path} imports {name}"


def open_editions(files: Mapping[str, str], withheld: Mapping[int, list[str]]) -> Iterator[str]:
    """A week's edition lacks what it and later weeks withhold; nothing that is in it may import that."""
    for week in withheld:
        gone = {name for later, names in withheld.items() if later >= week for name in names}
        for path, source in files.items():
            if module_name(path) in gone:
                continue
            for name in imported(source, package_of(path)) & gone:
                yield f"in the edition of week {week}, {path} imports {name}, which it lacks"


def withheld_by_week() -> dict[int, list[str]]:
    weeks = [tomllib.loads(text) for text in sources("solutions/week*/week.toml").values()]
    return {int(week["week"]): list(week["withhold"]) for week in weeks}


# -- the tree keeps them -------------------------------------------------------------------------------------


def test_every_module_of_grading_has_its_place_in_the_tables() -> None:
    found = {Path(path).stem for path in sources("grading/*.py")}
    assert found - MODULES == set(), "say in tests/test_architecture.py to which stage it belongs"
    assert MODULES - found == set(), "the tables name modules that are gone"


def test_course_lib_imports_nothing_of_ours() -> None:
    files = sources("course_lib/**/*.py")
    assert files
    assert list(strangers_in_course_lib(files)) == []


def test_course_lib_itself_imports_nothing() -> None:
    body = ast.parse((ROOT / "course_lib/__init__.py").read_text(encoding="utf-8")).body
    assert [ast.unparse(node) for node in body[1:]] == []
    assert isinstance(body[0], ast.Expr), "it has a docstring and nothing else"


def test_course_lib_keeps_its_annotations_so_that_shapes_can_be_checked() -> None:
    lazy = [
        path
        for path, source in sources("course_lib/**/*.py").items()
        if "__future__.annotations" in imported(source)
    ]
    assert lazy == []


def test_every_edition_is_closed() -> None:
    withheld = withheld_by_week()
    modules = {module_name(path) for path in sources("course_lib/**/*.py")}
    assert {name for names in withheld.values() for name in names} <= modules, (
        "a week withholds what is not there"
    )
    assert list(open_editions(sources("course_lib/**/*.py"), withheld)) == []


def test_a_week_does_not_import_what_it_asks_for() -> None:
    withheld = withheld_by_week()
    for path, text in sources("solutions/week*/week.toml").items():
        number, folder = int(tomllib.loads(text)["week"]), Path(path).parent
        gone = {name for later, names in withheld.items() if later >= number for name in names}
        for shipped in (f"{folder}/{folder.name}.py", f"{folder}/checks.py"):
            source = (ROOT / shipped).read_text(encoding="utf-8")
            assert imported(without_magics(source)) & gone == set(), shipped


def without_magics(source: str) -> str:
    """A notebook's lines that only IPython reads, such as %matplotlib inline, are no Python."""
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))


def test_public_checks_use_only_what_ships_with_them() -> None:
    files = sources("solutions/week*/checks.py")
    assert files
    assert list(public_checks_that_know_too_much(files)) == []


def test_authored_code_does_not_lean_on_the_machine() -> None:
    files = {path: without_magics(source) for path, source in sources("solutions/**/*.py").items()}
    assert list(authored_code_that_leans_on_the_machine(files)) == []


def test_no_stage_imports_another() -> None:
    files = sources("grading/*.py")
    assert files
    assert list(stages_that_know_another(files)) == []


def test_outside_tools_enter_by_their_door() -> None:
    assert list(tools_by_another_door(sources("grading/*.py"))) == []


def test_every_door_is_used() -> None:
    files = sources("grading/*.py")
    unused = {
        f"{tool} by {door}"
        for tool, doors in DOORS.items()
        for door in doors
        if tool not in {top(name) for name in imported(files.get(f"grading/{door}.py", ""), "grading")}
    }
    assert unused == set()


def test_nobody_imports_notebooks_or_tests_or_solutions() -> None:
    files = {
        **sources("course_lib/**/*.py"),
        **sources("grading/*.py"),
        **sources("tests/**/*.py"),
        **sources("data/**/*.py"),
    }
    assert list(nobody_may_import(files)) == []


def test_authored_files_are_loaded_by_path_in_one_place() -> None:
    loaders = {
        path for path, source in sources("grading/*.py").items() if "spec_from_file_location" in source
    }
    assert loaders == {"grading/weeks.py"}


# -- and each rule can fail ----------------------------------------------------------------------------------

BROKEN = [
    (strangers_in_course_lib, {"course_lib/plots.py": "def f():\n    from grading import weeks"}),
    (
        strangers_in_course_lib,
        {"course_lib/plots.py": "import importlib\nimportlib.import_module('grading.judge')"},
    ),
    (stages_that_know_another, {"grading/feedback.py": "from grading.judge import judge"}),
    (stages_that_know_another, {"grading/feedback.py": "from . import report"}),
    (stages_that_know_another, {"grading/release.py": "from grading import cli"}),
    (stages_that_know_another, {"grading/weeks.py": "import grading.release"}),
    (tools_by_another_door, {"grading/report.py": "import nbgrader.api"}),
    (
        public_checks_that_know_too_much,
        {"solutions/week02/checks.py": "from course_lib.projectors import LinearProjector"},
    ),
    (public_checks_that_know_too_much, {"solutions/week02/checks.py": "import einops"}),
    (
        authored_code_that_leans_on_the_machine,
        {"solutions/week02/hidden/a.py": "from grading.weeks import load_file"},
    ),
    (nobody_may_import, {"grading/judge.py": "from tests.course_lib import helpers"}),
]


@pytest.mark.parametrize(("rule", "files"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_forbidden_import_is_seen(rule, files) -> None:  # type: ignore[no-untyped-def]
    assert list(rule(files)) != []


def test_an_edition_that_lacks_what_it_needs_is_seen() -> None:
    files = {"course_lib/seeing.py": "from .projectors import MLPProjector", "course_lib/projectors.py": ""}
    withheld = {2: ["course_lib.projectors"], 3: ["course_lib.resampler"]}
    assert list(open_editions(files, withheld)) == [
        "in the edition of week 2, course_lib/seeing.py imports course_lib.projectors, which it lacks"
    ]


def test_relative_imports_are_resolved() -> None:
    assert "grading.judge" in imported("from . import judge", "grading")
    assert "course_lib.wire" in imported("from ..wire import read", "course_lib.microworld")
    assert "course_lib.microworld.scenes" in imported("from .scenes import draw", "course_lib.microworld")
