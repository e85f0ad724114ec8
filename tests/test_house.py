"""The pages and files that hold the house together say what is so."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What Colab brings (its package list of August 2026).
COLAB = {"numpy": "2.1.3", "torch": "2.11.0", "matplotlib": "3.10.0", "ipywidgets": "7.7.1"}

in_a_checkout = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs git's list of tracked files")


def tracked() -> list[str]:
    """Every path that git knows or would add: ignored files are no part of the tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def text_files() -> list[tuple[str, str]]:
    texts = []
    for name in tracked():
        try:
            texts.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return texts


# -- README --------------------------------------------------------------------------------------------------


def map_entries() -> list[str]:
    block = re.search(r"## The map\n\n```text\n(.*?)```", README, re.DOTALL)
    assert block, "README.md has no map"
    return [line.split()[0] for line in block[1].splitlines()]


@in_a_checkout
def make(*arguments: str) -> str:
    """What make prints. `make test` runs this file: what it tells a make below it must not show here."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=outside, capture_output=True, text=True, check=True
    ).stdout


def test_the_map_in_the_readme_is_the_tree() -> None:
    top = {name.split("/")[0] + ("/" if "/" in name else "") for name in tracked()}
    assert sorted(map_entries()) == sorted(top)


def test_the_map_names_nothing_twice_and_says_something_about_everything() -> None:
    entries = map_entries()
    assert len(entries) == len(set(entries))
    block = README.split("## The map\n\n```text\n")[1].split("```")[0]
    assert [line for line in block.splitlines() if len(line.split()) < 2] == []


def test_the_table_of_weeks_is_the_one_that_the_weeks_give() -> None:
    sys.path.insert(0, str(ROOT / ".make"))
    try:
        import readme
    finally:
        sys.path.remove(str(ROOT / ".make"))
    assert readme.filled(README) == README, "run .venv/bin/python .make/readme.py"
    assert len(re.findall(r"^\| \d+ \|", readme.table(), re.MULTILINE)) == len(
        list(ROOT.glob("solutions/week*/week.toml"))
    )


def test_every_link_inside_the_pages_leads_somewhere() -> None:
    dead = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.name}: {target}")
    assert dead == []


# -- the menu ------------------------------------------------------------------------------------------------


def test_the_menu_lists_every_command_and_the_readme_only_those() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    shown = make()
    listed = set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE))
    assert listed == targets == phony
    asked = set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    assert asked <= targets
    assert {"demo", "test"} <= asked


def test_every_command_of_the_menu_sets_up_first_except_those_that_need_nothing() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = dict(re.findall(r"^([a-z-]+):([^#\n]*)##", makefile, re.MULTILINE))
    assert {name for name, needs in rules.items() if "setup" not in needs.split()} == {
        "help",
        "setup",
        "clean",
    }


def test_clean_deletes_build_and_nothing_else() -> None:
    dry = make("-n", "clean")
    assert dry.split() == ["rm", "-rf", "build"]


# -- packages ------------------------------------------------------------------------------------------------


def lock() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonical(one.name): one for one in wanted}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def ranges() -> dict[str, list[Requirement]]:
    project = PYPROJECT["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {group: [Requirement(line) for line in lines] for group, lines in groups.items()}


def test_every_line_of_the_lock_is_one_exact_version() -> None:
    for requirement in lock().values():
        (pin,) = requirement.specifier
        assert pin.operator == "==", requirement
        assert "+" not in pin.version, f"{requirement} names the build of one machine"
        assert requirement.url is None


def test_the_lock_holds_no_cuda_packages() -> None:
    assert [name for name in lock() if re.match(r"nvidia|cuda|triton|cupy", name)] == []


def test_the_lock_satisfies_every_range() -> None:
    locked = lock()
    for requirement in (one for group in ranges().values() for one in group):
        (pin,) = locked[canonical(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), requirement


def test_exact_versions_stand_in_the_lock_only() -> None:
    for requirement in (one for group in ranges().values() for one in group):
        assert "==" not in str(requirement.specifier), requirement
    for name in ("environment.yml", ".ci/run", ".make/setup", "Makefile", ".pre-commit-config.yaml"):
        assert "==" not in (ROOT / name).read_text(encoding="utf-8").replace("'^torch=='", "").replace(
            "-c == requirements.txt", ""
        ), name


def test_conda_takes_the_same_lock() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "- -r requirements.txt\n" in text
    python = re.search(r"- python=([\d.]+)\n", text)
    assert python
    assert python[1] in ("3.11", "3.12", "3.13")


def test_a_learner_on_colab_keeps_what_colab_has() -> None:
    base = {requirement.name: requirement.specifier for requirement in ranges()["base"]}
    for name, version in COLAB.items():
        assert base[name].contains(version), f"{name} {version} would be replaced: the range is {base[name]}"
        assert all(clause.operator == ">=" for clause in base[name]), f"{name} has an upper bound"


def module_level_imports(path: Path) -> set[str]:
    """Top names imported when the file is; not those inside a function or a try, which may be absent."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names)


# Where the import's name is not the package's.
PACKAGE = {"jupyter-client": "jupyter_client", "IPython": "ipykernel", "zmq": "pyzmq"}


@pytest.mark.parametrize(
    ("package", "groups"),
    [("course_lib", ["base"]), ("grading", ["base", "grading"])],
    ids=["course_lib", "grading"],
)
def test_what_a_package_imports_is_what_it_asks_for(package: str, groups: list[str]) -> None:
    allowed = {canonical(one.name) for group in groups for one in ranges()[group]} | {"course-lib", "grading"}
    allowed |= {"ipython"} if "grading" in groups else set()
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in module_level_imports(path)
        if canonical(name) not in allowed and canonical(PACKAGE.get(name, name)) not in allowed
    }
    assert missing == set()


def test_an_edition_that_comes_first_hides_all_of_this_course_lib(tmp_path: Path) -> None:
    """Some ways of an editable install look missing submodules up in the repository all the same."""
    (tmp_path / "course_lib").mkdir()
    (tmp_path / "course_lib/__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import course_lib; print(course_lib.__file__); import course_lib.checking"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert str(tmp_path) in done.stdout
    assert "No module named 'course_lib.checking'" in done.stderr


# -- what must not be committed ------------------------------------------------------------------------------


@in_a_checkout
def test_the_ignore_list_keeps_out_what_cannot_or_need_not_be_committed() -> None:
    for path in (
        "build/x",
        "var/gradebook.db",
        "var/inbox/a.ipynb",
        ".venv/x",
        "course_lib/__pycache__/x.pyc",
    ):
        checked = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT)
        assert checked.returncode == 0, f"{path} would be committed"
    for path in ("notebooks/week02/x.ipynb", "data/x.safetensors", "course_lib/build.py"):
        checked = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT)
        assert checked.returncode == 1, f"{path} could not be committed"


FOREIGN = [
    r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+|opt/(?:wheels|pypi))/",  # a place on somebody's machine
    # which index packages come from is the user's choice
    r"\b(?:pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org)\b",
]


@in_a_checkout
@pytest.mark.parametrize("pattern", FOREIGN, ids=["machine paths", "registry hosts"])
def test_no_file_names_a_place_that_only_one_machine_has(pattern: str) -> None:
    found = [
        f"{name}: {match[0]}"
        for name, text in text_files()
        if name != "tests/test_house.py"
        for match in re.finditer(pattern, text)
    ]
    assert found == []


@in_a_checkout
def test_every_committed_file_is_tidy() -> None:
    names = tracked()
    done = subprocess.run([sys.executable, ".make/tidy.py", *names], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 0


def test_tidy_finds_outputs_and_loose_ends(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text('{"cells": [{"outputs": [{}], "execution_count": 1}]}\n')
    (tmp_path / "b.py").write_text("x = 1")
    (tmp_path / "c.bin").write_bytes(b"\0" * (5 * 2**20))
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([sys.executable, ROOT / ".make/tidy.py", *files], capture_output=True, text=True)
    assert done.returncode == 1
    assert "has outputs" in done.stdout
    assert "does not end with a line end" in done.stdout
    assert "5.0 MiB" in done.stdout


# -- licences ------------------------------------------------------------------------------------------------


def test_both_licences_are_there_whole() -> None:
    code = (ROOT / "LICENSE").read_text(encoding="utf-8")
    prose = (ROOT / "LICENSE-PROSE").read_text(encoding="utf-8")
    assert "Apache License" in code
    assert "END OF TERMS AND CONDITIONS" in code
    assert "Attribution 4.0 International" in prose
    assert all(f"Section {n} " in prose for n in range(1, 9))
    assert PYPROJECT["project"]["license"] == "Apache-2.0 AND CC-BY-4.0"


# -- set-up --------------------------------------------------------------------------------------------------


def bare_checkout(folder: Path) -> Path:
    """The files that set-up reads, in a folder whose name has a space."""
    place = folder / "a clone"
    (place / ".make").mkdir(parents=True)
    for name in ("requirements.txt", "pyproject.toml", ".make/setup"):
        (place / name).write_bytes((ROOT / name).read_bytes())
    return place


def run_setup(place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", ".make/setup"],
        cwd=place,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(place), **environment},
        timeout=300,
    )


def few_tools(folder: Path) -> Path:
    """A PATH on which set-up finds its own helpers, and neither Python, apt-get, sudo nor bubblewrap."""
    folder.mkdir()
    for tool in ("bash", "cat", "cut", "dirname", "id", "mkdir", "rm", "sha256sum", "uname"):
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return folder


def test_setup_without_a_python_it_knows_says_which_it_wants(tmp_path: Path) -> None:
    tools = few_tools(tmp_path / "bin")
    # pyenv's shims look like this for a version that is installed and not switched on.
    (tools / "python3.11").write_text(
        "#!/bin/sh\necho 'pyenv: python3.11: command not found' >&2; exit 127\n"
    )
    (tools / "python3.11").chmod(0o755)
    done = run_setup(bare_checkout(tmp_path), PATH=str(tools))
    assert done.returncode == 2
    assert "no Python 3.11, 3.12 or 3.13" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap exists on Linux only")
def test_setup_says_once_that_there_is_no_sandbox_and_how_to_get_one(tmp_path: Path) -> None:
    place = made_before(bare_checkout(tmp_path))
    tools = few_tools(tmp_path / "bin")
    (first, second) = (run_setup(place, PATH=str(tools)) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    (sentence,) = first.stderr.splitlines()
    assert "install the packages 'bubblewrap' and 'libseccomp2' to grade" in sentence
    assert second.stderr == ""


@pytest.mark.slow
def test_setup_without_a_network_ends_with_one_sentence_and_can_go_on_later(tmp_path: Path) -> None:
    place = bare_checkout(tmp_path)
    done = run_setup(place, PYTHON=sys.executable, PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert done.returncode == 2
    (complaint,) = [line for line in done.stderr.splitlines() if "could not be downloaded" in line]
    assert "no network" in complaint
    assert not list((place / ".venv").glob(".ready-*"))
    again = run_setup(place, PYTHON=sys.executable, PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert "[1/4]" not in again.stderr, "the environment that was there already was made a second time"


def made_before(place: Path) -> Path:
    """The same checkout, as if set-up had succeeded in it."""
    (place / ".venv").mkdir()
    texts = [(place / name).read_bytes() for name in ("requirements.txt", "pyproject.toml")]
    stamp = hashlib.sha256(b"".join(texts) + f"{place.resolve()}\n".encode()).hexdigest()[:16]
    (place / f".venv/.ready-{stamp}").touch()
    return place


def test_setup_does_nothing_a_second_time(tmp_path: Path) -> None:
    place = made_before(bare_checkout(tmp_path))
    (place / ".venv/.no-sandbox").touch()  # that sentence was said already
    before = sorted(place.rglob("*"))
    done = run_setup(place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(place.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("change", ["another lock", "another place"])
def test_setup_starts_again_when_what_it_stands_on_has_changed(tmp_path: Path, change: str) -> None:
    place = bare_checkout(tmp_path)
    offline = {"PYTHON": sys.executable, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    run_setup(place, **offline)
    mark = place / ".venv/made-before"
    mark.touch()
    if change == "another lock":
        with (place / "requirements.txt").open("a") as lines:
            lines.write("einops==0.0.1\n")
    else:
        place = place.rename(tmp_path / "moved")
    done = run_setup(place, **offline)
    assert "could not be downloaded" in done.stderr, "it took the old environment for the new one"
    assert ("[1/4]" in done.stderr) == (change == "another place")
    assert (place / ".venv/made-before").exists() == (change == "another lock")
