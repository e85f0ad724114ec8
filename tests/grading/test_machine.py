"""What a machine refuses is said with its reason, in one sentence, before a kernel is started."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from grading import launch, locked, machine, sandbox
from grading.errors import SandboxError
from tests.fixtures import ordinary_user

CHECK = """
import base64
from grading import calls, launch, machine, sandbox
from grading.errors import SandboxError
machine.MARKS = {marks}
if {filtered}:  # the same calls that Docker's own profile refuses, refused by the same part of the kernel
    launch.give_up_new_rights()
    launch.close_calls(base64.b64decode(calls.program()))
try:
    print(sandbox.check())
except SandboxError as problem:
    print("refused:", problem)
"""
NO_MORE_NAMESPACES = (
    "echo 0 > /proc/sys/user/max_user_namespaces && "
    'exec setpriv --ambient-caps=-all --inh-caps=-all "$0" -c "$1"'
)


def said(done: "subprocess.CompletedProcess[str]") -> str:
    assert "Traceback" not in done.stderr, done.stderr
    (line,) = done.stdout.splitlines()
    return line


def as_this_user(code: str) -> str:
    return said(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120))


@pytest.mark.parametrize(
    "run", [as_this_user, lambda code: said(ordinary_user.run(code))], ids=["me", "user"]
)
def test_where_a_filter_refuses_namespaces_the_sentence_says_so(run) -> None:  # type: ignore[no-untyped-def]
    line = run(CHECK.format(marks={}, filtered=True))
    assert line.startswith("refused: the sandbox (bubblewrap) does not hold here: a filter of system calls")
    assert "--security-opt seccomp=unconfined" in line
    assert "(bwrap: " in line, "what bubblewrap itself said stays readable"
    line = run(CHECK.format(marks={"/proc": "Docker"}, filtered=True))
    assert "does not hold here: Docker refuses namespaces; start the container with" in line
    assert run(CHECK.format(marks={}, filtered=False)) == "bubblewrap"


def test_where_user_namespaces_are_used_up_the_switch_is_named() -> None:
    """The kernel's own limit, set to nothing in a namespace of the test's."""
    code = CHECK.format(marks={}, filtered=False)
    inner = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", NO_MORE_NAMESPACES]
    outer = f"""
import subprocess, sys
done = subprocess.run([*{inner!r}, sys.executable, {code!r}], capture_output=True, text=True)
print(done.stdout, end="")
print(done.stderr, end="", file=sys.stderr)
"""
    line = said(ordinary_user.run(outer))
    assert "this machine refuses namespaces: user.max_user_namespaces is 0; what helps is sysctl" in line


@pytest.mark.parametrize(("name", "forbids", "todo"), machine.SWITCHES)
def test_each_switch_is_read_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, forbids: str, todo: str
) -> None:
    refused = "bwrap: No permissions to create new namespace, likely because the kernel does not allow"
    monkeypatch.setattr(machine, "SYS", tmp_path)
    monkeypatch.setattr(machine, "MARKS", {})
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(f"{forbids}\n")
    assert todo in machine.why_no_namespaces(refused)
    (tmp_path / name).write_text("7\n")
    assert todo not in machine.why_no_namespaces(refused)
    assert machine.why_no_namespaces("bwrap: execvp python3: No such file or directory") == ""
    assert machine.why_no_namespaces("MemoryError") == ""


def test_a_folder_that_keeps_the_boxs_user_out_is_named_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A root who installed with umask 077: bubblewrap mounts the packages, and the box's user cannot read."""
    site = tmp_path / "site-packages"
    (site / "torch").mkdir(parents=True)
    for closed in (site, site / "torch"):
        monkeypatch.setattr(locked, "site_folders", lambda: [str(site)])
        assert machine.closed_to(2_000_001, [site]) == ""
        closed.chmod(0o700)
        sentence = machine.closed_to(2_000_001, [site])
        assert sentence.startswith(f"{closed} has the mode 0700,")
        assert f"chmod -R o+rX {closed}" in sentence
        assert machine.closed_to(None, [site]) == "", "who grades as itself is kept out by nothing"
        monkeypatch.setattr(sandbox, "box_uid", lambda: 2_000_001)
        sandbox._check.cache_clear()
        with pytest.raises(SandboxError, match="has the mode 0700"):
            sandbox.check()
        sandbox._check.cache_clear()
        closed.chmod(0o755)


def test_a_closed_home_above_is_named_where_there_are_no_mounts() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        os.chmod(name, 0o755)
        home = Path(name) / "home"
        python = home / ".pyenv" / "lib"
        python.mkdir(parents=True)
        assert machine.closed_to(2_000_001, [python], passing=True) == ""
        home.chmod(0o700)
        assert machine.closed_to(2_000_001, [python]) == "", "a mount leads past what is above"
        sentence = machine.closed_to(2_000_001, [python], passing=True)
        assert sentence.startswith(f"{home} has the mode 0700, so {python} cannot be reached")
        assert f"chmod o+x {home}" in sentence


def test_in_a_container_or_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "MARKS", {str(tmp_path / "mark"): "Podman"})
    monkeypatch.delenv("container", raising=False)
    monkeypatch.setattr(
        os.path, "exists", lambda path: Path(path) == tmp_path / "mark" and Path(path).is_file()
    )
    assert machine.container() == ""
    (tmp_path / "mark").touch()
    assert machine.container() == "Podman"
    (tmp_path / "mark").unlink()
    monkeypatch.setenv("container", "lxc")
    assert machine.container() == "a container"


def test_an_old_kernel_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "landlock_version", lambda: 0)
    sandbox._check.cache_clear()
    with pytest.raises(SandboxError, match=r"has no Landlock, which came with Linux 5\.13"):
        sandbox.check()
    sandbox._check.cache_clear()
