"""The box: what cannot be done in it, what its limits stop, and that nothing of it stays."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grading import box, calls, launch, locked, sandbox
from grading.box import Box
from grading.errors import SandboxError, UsageError
from grading.sandbox import Boxed
from tests.fixtures import ordinary_user


@pytest.fixture
def share() -> Iterator[Path]:
    folder = box.new_share()
    yield folder
    shutil.rmtree(folder)


def run(
    share: Path, source: str, rung: str = "bubblewrap", seconds: float = 30, **limits: int
) -> tuple[str, Boxed]:
    """Run a script in a box; what it printed, and the box after its end."""
    script = share / "script.py"
    script.write_text(source)
    with tempfile.TemporaryFile() as said:
        boxed = Boxed(rung, Box(share, **limits), str(script), output=said)
        try:
            boxed.process.wait(timeout=seconds)
        finally:
            boxed.kill()
        said.seek(0)
        return said.read().decode(), boxed


def test_the_self_test_finds_nothing_broken_in_bubblewrap() -> None:
    assert sandbox.broken_promises("bubblewrap") == []
    assert sandbox.check() == "bubblewrap"


def test_the_self_test_can_fail() -> None:
    """Without a sandbox the same probe reads, writes and connects: it would notice."""
    broken = sandbox.broken_promises("none")
    assert f"it can read {sandbox.__file__}" in broken
    assert "it can connect to this machine" in broken
    assert any(promise.startswith("it can write in /tmp/see-") for promise in broken)


def test_without_the_second_lock_its_half_of_the_self_test_finds_all_of_it_open(share: Path) -> None:
    """The namespaces alone allow what Landlock and seccomp forbid, so none of these promises is idle."""
    probe = Path(sandbox.__file__).with_name("probe.py").read_text()
    source = (
        f"{probe.split('if __name__')[0]}\nprint(json.dumps(not_locked_twice('/box/python/bin/python3')))"
    )
    said, _ = run(share, source, rung="bubblewrap-only")
    open_doors = json.loads(said.splitlines()[-1])
    assert open_doors[:4] == [
        "it can list what no rule names",
        "it can run a program that it wrote",
        "its system calls are not filtered",
        "it can have itself traced",
    ]
    # Which kinds of socket there are depends on the machine's kernel.
    assert all(door.startswith("it can open a socket to the ") for door in open_doors[4:])
    said, _ = run(share, source)
    assert json.loads(said.splitlines()[-1]) == []


FORBIDDEN_CALLS = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
def failed(*call):
    ctypes.set_errno(0)
    return [libc.syscall(*call), errno.errorcode.get(ctypes.get_errno(), "")]
numbers = json.loads(open(os.path.join(os.path.dirname(__file__), "numbers.json")).read())
print(json.dumps({name: failed(number, 0, 0, 0, 0, 0, 0) for name, number in numbers.items()}))
"""


def test_every_forbidden_call_fails_in_a_box_and_says_it_may_not(share: Path) -> None:
    import pyseccomp

    native = pyseccomp.Arch.NATIVE
    names = [name for group in calls.FORBIDDEN.values() for name in group]
    numbers = {name: pyseccomp.resolve_syscall(native, name) for name in names}
    here = {name: number for name, number in numbers.items() if number >= 0}
    assert set(names) - set(here) <= {"umount"}  # not a call of its own on 64 bits
    (share / "numbers.json").write_text(json.dumps(here))
    said, _ = run(share, FORBIDDEN_CALLS)
    assert json.loads(said) == {name: [-1, "EPERM"] for name in here}


@pytest.mark.parametrize("upper", [0, 1 << 32, 5 << 40], ids=hex)
def test_no_socket_opens_by_bits_that_the_kernel_does_not_look_at(share: Path, upper: int) -> None:
    """A family is an int: the kernel drops the upper half of what it is given, and a filter must, too."""
    number = 41 if os.uname().machine == "x86_64" else 198
    source = (
        "import ctypes, errno, json\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "libc.syscall.argtypes = [ctypes.c_long] * 4\n"
        f"for family in {[*calls.FAMILIES.values()]}:\n"
        f"    opened = libc.syscall({number}, {upper} | family, 1, 0)\n"
        "    print(opened, errno.errorcode[ctypes.get_errno()])\n"
    )
    said, _ = run(share, source)
    assert said.splitlines() == ["-1 EPERM"] * len(calls.FAMILIES)


@pytest.mark.parametrize("bit", [1 << n for n in range(32) if calls.NAMESPACES >> n & 1], ids=hex)
def test_no_child_gets_a_namespace_of_its_own_and_a_plain_one_starts(share: Path, bit: int) -> None:
    source = (
        "import ctypes, errno, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"child = libc.syscall({(os.uname().machine == 'x86_64' and 56) or 220}, {bit} | 17, 0, 0, 0, 0)\n"
        "if child == 0: os._exit(0)\n"
        "print(child, errno.errorcode.get(ctypes.get_errno()))\n"
        "import subprocess, sys\n"
        "print(subprocess.run([sys.executable, '-c', '']).returncode)\n"
    )
    said, _ = run(share, source)
    assert said.split() == ["-1", "EPERM", "0"]


def test_without_landlock_or_libseccomp_one_sentence_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, share: Path
) -> None:
    monkeypatch.setattr(launch, "landlock_version", lambda: 0)
    with pytest.raises(
        SandboxError, match=r"has no Landlock, which came with Linux 5\.13; say --sandbox bubb"
    ):
        box.command("bubblewrap", Box(share), "this")
    monkeypatch.undo()
    monkeypatch.setattr(calls, "library", lambda: None)
    calls.program.cache_clear()
    with pytest.raises(SandboxError, match=r"apt install libseccomp2.*grade on another machine"):
        box.command("bubblewrap", Box(share), "this")
    assert box.command("bubblewrap-only", Box(share), "this")
    calls.program.cache_clear()


def test_landlock_names_only_rights_that_the_kernels_version_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older kernel refuses a bit it does not know; every version gets its own."""
    asked = []

    def syscall(number: int, *arguments: object) -> int:
        if number == launch.CREATE_RULESET and arguments[0] is not None:
            rules = arguments[0]._obj  # type: ignore[attr-defined]
            asked.append((rules.files, rules.scopes, arguments[1]))
            return os.open("/dev/null", os.O_RDONLY)
        return version if number == launch.CREATE_RULESET else 0

    monkeypatch.setattr(launch, "_libc", types.SimpleNamespace(syscall=syscall))
    for version in range(8):
        assert launch.close_files({"run": ["/usr/lib", "/nowhere"], "read": ["/etc/hostname"]}) == (
            version > 0
        )
    bits = [files.bit_length() for files, _, _ in asked]
    assert bits == [13, 14, 15, 15, 16, 16, 16]
    assert [(scopes, size) for _, scopes, size in asked] == [(0, 8)] * 5 + [(0b11, 24)] * 2


def test_a_sandbox_that_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "broken_promises", lambda rung: ["it can fly", "it can swim"])
    sandbox._check.cache_clear()
    with pytest.raises(SandboxError, match="it can fly; it can swim"):
        sandbox.check()
    sandbox._check.cache_clear()


def test_without_bubblewrap_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, share: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(SandboxError, match=r"bwrap is missing; install it \(apt install bubblewrap\)"):
        box.command("bubblewrap", Box(share), "this")
    sandbox._check.cache_clear()
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        sandbox.check()
    sandbox._check.cache_clear()
    assert sandbox.check("none") == "none"


def test_an_unknown_rung_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="known: best, bubblewrap, landlock, bubblewrap-only, none"):
        sandbox.check("docker")


def test_the_allow_list_never_holds_the_root_the_home_or_the_repository(share: Path) -> None:
    line = box.command("bubblewrap", Box(share), "this")
    bound = [line[n + 1] for n, word in enumerate(line) if word in ("--ro-bind", "--bind")]
    root = Path(sandbox.__file__).parent.parent
    assert "/" not in bound
    assert str(Path.home()) not in bound
    assert str(root) not in bound
    assert not any(Path(path).is_relative_to(root) and "site-packages" not in path for path in bound)
    # A checkout may itself lie under /tmp; of it only the installed packages may be bound.
    assert [path for path in bound if path.startswith("/tmp") and "site-packages" not in path] == [str(share)]


def test_our_packages_are_masked_where_they_are_installed(
    monkeypatch: pytest.MonkeyPatch, share: Path, tmp_path: Path
) -> None:
    """A plain `pip install` puts references and hidden machinery beside torch; the box must not show them."""
    site = tmp_path / "site-packages"
    for package in ("course_lib", "grading", "harmless_package"):
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("answer = 42")
    for path in [tmp_path, *tmp_path.parents]:
        if path.is_relative_to(tempfile.gettempdir()) and str(path) != tempfile.gettempdir():
            path.chmod(0o755)
    monkeypatch.setattr(locked, "site_folders", lambda: [str(site)])
    said, _ = run(
        share,
        "import os\nfor name in ('course_lib', 'grading', 'harmless_package'):\n"
        "    print(name, os.listdir(f'/box/site-0/{name}'))",
    )
    assert said.splitlines() == ["course_lib []", "grading []", "harmless_package ['__init__.py']"]


def test_the_environment_is_cleared(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SECRET", "canary")
    said, _ = run(share, "import json, os; print(json.dumps(dict(os.environ)))")
    inside = json.loads(said)
    assert "canary" not in said
    assert set(inside) - {"PWD", "LC_CTYPE"} == set(box.environment(Box(share)))
    assert str(Path.home()) not in said.replace(box.HOME, "")


def test_memory_over_the_limit_is_refused_to_one_process(share: Path) -> None:
    said, _ = run(
        share, "try:\n    bytearray(300 << 20)\nexcept MemoryError:\n    print('refused')", memory_mb=200
    )
    assert said.strip() == "refused"


def test_memory_of_many_processes_together_ends_the_box(share: Path) -> None:
    source = (
        "import os, time\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(b'x' * (120 << 20)); time.sleep(60)\n"
        "time.sleep(60)"
    )
    _, boxed = run(share, source, memory_mb=300)
    assert boxed.killed_for == "it used more than 300 MB of memory"


def test_filling_the_shared_folder_ends_the_box(share: Path) -> None:
    source = f"import time\nfor n in range(1000):\n    open('{share}/' + str(n), 'w').close()\ntime.sleep(60)"
    _, boxed = run(share, source)
    assert boxed.killed_for is not None
    assert "sockets" in boxed.killed_for


def test_a_daemon_of_a_daemon_does_not_outlive_the_box(share: Path) -> None:
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(1000)\n"
        "    os._exit(0)\n"
        "print('started', flush=True)\n"
        "time.sleep(1000)"
    )
    script = share / "script.py"
    script.write_text(source)
    boxed = Boxed("bubblewrap", Box(share), str(script))
    assert sandbox.wait_until(lambda: len(boxed.inside()) >= 3, 10)
    inside = boxed.inside()
    boxed.kill()
    boxed.kill()
    assert all(map(sandbox.gone, inside))


def test_the_box_dies_with_the_process_that_opened_it(share: Path) -> None:
    (share / "script.py").write_text("import time; time.sleep(1000)")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from grading.box import Box; from grading.sandbox import Boxed\n"
        "share = Path(sys.argv[1])\n"
        "boxed = Boxed('bubblewrap', Box(share), str(share / 'script.py'))\n"
        "print(boxed.process.pid, flush=True); time.sleep(1000)"
    )
    opener = subprocess.Popen([sys.executable, "-c", code, str(share)], stdout=subprocess.PIPE)
    assert opener.stdout is not None
    outside = psutil.Process(int(opener.stdout.readline()))
    assert sandbox.wait_until(lambda: len(outside.children(recursive=True)) >= 2, 10)
    everything = [outside, *outside.children(recursive=True)]
    opener.kill()
    opener.wait()
    opener.stdout.close()
    assert sandbox.wait_until(lambda: all(sandbox.gone(p.pid) for p in everything), 10)


def test_folders_of_dead_graders_are_swept_and_those_of_living_ones_kept(share: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    left = Path(f"/tmp/{box.SHARE_PREFIX}{dead.pid}-left")
    left.mkdir()
    box.sweep()
    assert not left.exists()
    assert share.exists()


def test_socket_paths_fit_into_their_limit(share: Path) -> None:
    assert len(str(share / "k-ipc-5")) < 60
    assert os.stat(share).st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else; others test this anyway")
def test_the_box_holds_for_an_ordinary_user_too() -> None:
    """The same self-test, started by a user without rights."""
    code = (
        "import os; from grading import box, sandbox\n"
        "print(os.geteuid(), box.box_uid(), sandbox.broken_promises('bubblewrap'))"
    )
    said = ordinary_user.run(code)
    assert said.stdout.strip() == f"{ordinary_user.UID} None []", said.stderr
