"""The box without namespaces: it holds where there are none, ends what it started, and leaves nothing."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grading import box, calls, keeper, locked, machine, sandbox
from grading.box import Box
from grading.errors import SandboxError
from tests.fixtures import no_namespaces

# As root, and as a user without rights; who is not root can only be the second.
WHO = [True, False] if os.geteuid() == 0 else [False]
by_everybody = pytest.mark.parametrize("root", WHO, ids=lambda root: "root" if root else "ordinary user")

BOXED = """
import os, sys, tempfile, time
from pathlib import Path
from grading import box, locked, sandbox
from grading.box import Box
from grading.sandbox import Boxed
share = box.new_share()
def start(source, **limits):
    (share / "script.py").write_text(source)
    os.chmod(share / "script.py", 0o644)
    return Boxed("landlock", Box(share, **limits), str(share / "script.py"))
def run(source, seconds=60, **limits):
    with tempfile.TemporaryFile() as said:
        (share / "script.py").write_text(source)
        os.chmod(share / "script.py", 0o644)
        boxed = Boxed("landlock", Box(share, **limits), str(share / "script.py"), output=said)
        assert sandbox.wait_until(lambda: not boxed.alive, seconds)
        why = boxed.killed_for
        error = boxed.first_error() if why is None else ""
        boxed.kill()
        said.seek(0)
        return said.read().decode() + error, why
"""


def there(code: str, root: bool) -> str:
    """What a few lines print where no namespace can be made."""
    done = no_namespaces.run(BOXED + code, root)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@by_everybody
def test_where_no_namespaces_are_made_the_best_sandbox_is_this_one_and_it_says_why(root: bool) -> None:
    said = there(
        "print(os.geteuid() == 0, sandbox.check('best'), sandbox.broken_promises('landlock'))\n"
        "print(sandbox.why_weaker('best', 'landlock'))",
        root,
    )
    first, why = said.splitlines()
    assert first == f"{root} landlock []"
    assert why.startswith("grading runs in the sandbox landlock, which is weaker; every verdict says so.")
    assert "the sandbox (bubblewrap) does not hold here" in why


@by_everybody
def test_the_doctor_says_what_grading_would_do(root: bool) -> None:
    said = there(
        "from grading import doctor\nfound = doctor._sandbox(None)\nprint(found.ok, found.what)", root
    )
    assert said.startswith("True sandbox: grading runs in the sandbox landlock, which is weaker")


@by_everybody
def test_a_pair_of_letter_boxes_opens_by_no_bits(root: bool) -> None:
    """The kernel looks at the lower half of a family only."""
    number = 53 if os.uname().machine == "x86_64" else 199
    source = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.argtypes = [ctypes.c_long] * 4 + [ctypes.c_void_p]
pair = (ctypes.c_int * 2)()
print([libc.syscall({number}, upper | 1, kind, 0, pair) for upper in (0, 1 << 32) for kind in (1, 2)])
"""
    assert there(f"print(run({source!r})[0])", root) == "[0, -1, 0, -1]"


def test_where_namespaces_are_made_the_best_sandbox_is_bubblewrap() -> None:
    assert sandbox.check("best") == "bubblewrap"
    assert sandbox.why_weaker("best", "bubblewrap") is None
    assert sandbox.why_weaker("landlock", "landlock") is None


def test_where_neither_holds_both_reasons_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "broken_promises", lambda rung: [f"{rung} can fly"])
    monkeypatch.setattr(machine, "closed_to", lambda *_, **__: "")
    sandbox._check.cache_clear()
    with pytest.raises(SandboxError, match=r"bubblewrap can fly.*without namespaces.*landlock can fly"):
        sandbox.check("best")
    sandbox._check.cache_clear()


# What to take out of the locks, and what the self-test must then find. By root, other promises are kept by
# the box's own user id; so the first is tried by an ordinary user, where all of it has to hold by itself.
TAKEN_OUT = {
    "calls.FORBIDDEN_ALONE.clear()": {
        "it can connect to another program's socket",
        "it can leave shared memory behind",
    },
    "calls.SOCK_DGRAM = 9": {"it can send to another program's socket"},
    "calls.AF_NETLINK = 2": {"it can listen to the network", "it can send to the network"},
    "calls.ONLY_ONES_OWN = ()": {"it can tie its grader to a processor"},
    "calls.ANYBODYS = ()": {"it can slow its grader down"},
    "calls.IDLE = ()": {"it can change a file outside"},
    "box.LAUNCHER = box.LAUNCHER.replace('SCOPES_SINCE, SCOPES = 6', 'SCOPES_SINCE, SCOPES = 99')": {
        "it can signal its grader"
    },
    "locked.FACTS += ('/proc',)": {"it can see other processes"},
    "locked.DEVICES += ('/',)": {"it can list what no rule names"},
}


@pytest.mark.parametrize("without", TAKEN_OUT, ids=range(len(TAKEN_OUT)))
def test_the_self_test_finds_what_is_taken_out_of_the_locks(without: str) -> None:
    found = json.loads(
        there(
            f"from grading import calls\nimport json\n{without}\ncalls.program.cache_clear()\n"
            "print(json.dumps(sandbox.broken_promises('landlock')))",
            root=False,
        )
    )
    assert TAKEN_OUT[without] <= set(found)


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        while True:
            if os.fork():
                os._exit(0)  # never the same process for long
            time.sleep(0.01)
    os._exit(0)
time.sleep(%s)
"""


@by_everybody
@pytest.mark.parametrize("ends_by_itself", [False, True])
def test_a_daemon_of_a_daemon_does_not_outlive_the_box_without_namespaces(
    root: bool, ends_by_itself: bool
) -> None:
    said = there(
        f"boxed = start({DAEMON % (1 if ends_by_itself else 1000)!r})\n"
        "assert sandbox.wait_until(lambda: len(boxed.inside()) >= 2, 20)\n"
        "time.sleep(0.5)\n"
        "who = os.stat(f'/proc/{boxed.inside()[0]}').st_uid\n"
        + ("assert sandbox.wait_until(lambda: not boxed.alive, 20)\n" if ends_by_itself else "boxed.kill()\n")
        + "boxed.kill()\n"
        "keepers = [os.getpid()]\n"
        "left = [n for n in os.listdir('/proc') if n.isdigit() and os.stat(f'/proc/{n}').st_uid == who]\n"
        "print([n for n in left if int(n) not in keepers])",
        root,
    )
    assert said == "[]"


def owners(process: psutil.Process) -> tuple[int, ...]:
    try:
        return () if sandbox.gone(process.pid) else tuple(process.uids())
    except psutil.Error:
        return ()


@by_everybody
def test_the_box_ends_with_the_process_that_opened_it(root: bool) -> None:
    code = (
        BOXED + f"boxed = start({DAEMON % 1000!r})\n"
        "assert sandbox.wait_until(lambda: len(boxed.inside()) >= 2, 20)\n"
        "print(os.stat(f'/proc/{boxed.inside()[0]}').st_uid, boxed.pid, *boxed.inside(), flush=True)\n"
        "time.sleep(1000)"
    )
    line = no_namespaces.command(code, root)
    opener = subprocess.Popen(line, env=no_namespaces.AROUND, stdout=subprocess.PIPE)
    try:
        assert opener.stdout is not None
        who, *numbers = map(int, opener.stdout.readline().split())
        started = [psutil.Process(number) for number in numbers if psutil.pid_exists(number)]
        assert started
        grader = started[0].parent()
        assert grader is not None
        grader.kill()
        assert sandbox.wait_until(lambda: all(sandbox.gone(one.pid) for one in started), 10)
        assert sandbox.wait_until(lambda: not any(who in owners(one) for one in psutil.process_iter()), 10)
    finally:
        opener.kill()
        opener.wait()
        if opener.stdout is not None:
            opener.stdout.close()


@by_everybody
def test_nothing_that_it_wrote_stays(root: bool) -> None:
    """Deep, closed, oddly named, in its home and, where it may, in the machine's shared memory."""
    source = """
import os
home = os.path.expanduser("~")
os.makedirs(os.path.join(home, "-rf", "\\n", "\\udcff"))
os.chdir(home)
for _ in range(1500):
    os.mkdir("deep"); os.chdir("deep")
open("last", "w").close()
os.chdir(home)
os.mkdir("closed"); open("closed/file", "w").close(); os.chmod("closed", 0)
os.symlink("/etc", "link")
try:
    open("/dev/shm/course-left-here", "w").close()
    print("shared memory", end="")
except OSError as problem:
    print(type(problem).__name__, end="")
"""
    said = there(
        f"said, why = run({source!r})\n"
        "print(said, why, share.with_name(share.name + '-home').exists(),\n"
        "      os.path.exists('/dev/shm/course-left-here'), os.path.isdir('/etc'))",
        root,
    )
    assert said == f"{'shared memory' if root else 'PermissionError'} None False False True"


@by_everybody
def test_limits_bite(root: bool) -> None:
    said = there(
        "print(run('''\n"
        "import os, time\n"
        "for n in range(9):\n"
        "    with open(os.path.expanduser(f'~/{n}'), 'wb') as file: file.write(bytes(60 << 20))\n"
        "time.sleep(60)''')[1])\n"
        "print(run('''\n"
        "import os, threading, time\n"
        "started = 0\n"
        "try:\n"
        "    for _ in range(200):\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); started += 1\n"
        "except RuntimeError: print(started < 100, end='', flush=True)\n"
        "os._exit(0)''', processes=40)[0])\n"
        "source = 'x = [bytearray(b\"x\" * (90 << 20)) for _ in range(9)]'\n"
        "print(run(source, memory_mb=400)[0][-11:])",
        root,
    )
    wrote, threads, memory = said.splitlines()
    assert wrote == f"it wrote more than {Box(Path()).scratch_mb} MB, or {box.SCRATCH_FILES} files"
    assert threads == "True"
    assert memory.strip().endswith("MemoryError")


@by_everybody
def test_honest_work_goes_on(root: bool) -> None:
    """Files with modes and times, threads, a child, temporary files; a pool where there is a /dev/shm."""
    source = """
import os, pathlib, shutil, subprocess, sys, tempfile, threading
import numpy, torch
here = pathlib.Path.home() / "notes"
here.write_text("words")
shutil.copy2(here, here.with_suffix(".copy"))
os.chmod(here, 0o600)
with tempfile.TemporaryDirectory() as folder:
    torch.save(torch.ones(2), folder + "/ones.pt")
assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout == b"1\\n"
thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
if os.access("/dev/shm", os.W_OK) and %r:
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
print((torch.ones(3) @ torch.ones(3)).item())
"""
    said = there(f"print(*run({source % root!r}))", root)
    assert said.split() == ["thread", "3.0", "None"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts boxes as somebody else")
def test_closed_folders_on_the_way_are_named() -> None:
    """The interpreter of this very machine, behind a home that only root may pass."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        os.chmod(name, 0o700)
        os.mkdir(f"{name}/python")
        code = (
            "from grading import sandbox\n"
            "from grading.errors import SandboxError\n"
            f"real = sandbox.shown\nsandbox.shown = lambda: [*real(), {f'{name}/python'!r}]\n"
            "try: sandbox.check('landlock')\nexcept SandboxError as problem: print(problem)"
        )
        said = there(code, root=True)
    assert f"{name} has the mode 0700, so {name}/python cannot be reached" in said
    assert f"chmod o+x {name}" in said


def test_what_is_allowed_holds_neither_the_repository_nor_a_home_nor_our_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = tmp_path / "lib" / "site-packages"
    for package in (*box.OUR_PACKAGES, "harmless"):
        (site / package).mkdir(parents=True)
    monkeypatch.setattr(locked, "site_folders", lambda: [str(site)])
    monkeypatch.setattr(locked, "interpreter", lambda: [(str(tmp_path / "lib"), "lib")])
    rules = locked.paths([tmp_path / "share"], tmp_path / "edition", box.OUR_PACKAGES)
    everything = [path for paths in rules.values() for path in paths]
    assert str(site / "harmless") in rules["run"]
    assert str(site) in rules["list"]
    for ours in box.OUR_PACKAGES:
        assert not any((site / ours).is_relative_to(path) for path in rules["run"])
    root = Path(sandbox.__file__).parent.parent
    for closed in (root, Path.home(), Path("/proc"), Path("/dev"), Path("/etc"), Path("/tmp")):
        assert not any(closed.is_relative_to(path) for path in everything), closed


def test_a_package_of_ours_that_is_installed_cannot_be_imported_in_it() -> None:
    """The real thing: names may be seen, and nothing read."""
    said = there(
        "site = Path(tempfile.mkdtemp()) / 'site-packages'\n"
        "for name in ('grading', 'harmless'):\n"
        "    (site / name).mkdir(parents=True); (site / name / '__init__.py').write_text('secret = 1')\n"
        "os.chmod(site.parent, 0o755)\n"
        "real = locked.site_folders\n"
        "locked.site_folders = lambda: [*real(), str(site)]\n"
        "source = 'import harmless\\ntry: import grading\\nexcept ImportError as problem: print(problem)'\n"
        "print(run(source))\n"
        "locked.remove(site.parent)",
        WHO[0],
    )
    assert "No module named 'grading" in said or "Permission denied" in said


@pytest.fixture
def below() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    yield process
    process.kill()
    process.wait()


def test_the_keeper_finds_what_is_below_it(below: subprocess.Popen[bytes]) -> None:
    assert below.pid in keeper.below(os.getpid())
    assert os.getpid() not in keeper.below(below.pid)


def test_a_box_has_a_user_id_that_exists_also_where_there_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for last, least in ((2**32 - 2, box.FIRST_UID), (65_535, 32_768), (65_536, 32_768)):
        monkeypatch.setattr(box, "_last_uid", lambda last=last: last)
        assert least <= (box.box_uid() or 0) <= last


def test_the_program_without_namespaces_needs_libseccomp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "library", lambda: None)
    calls.program.cache_clear()
    with pytest.raises(SandboxError, match=r"landlock needs libseccomp \(apt install libseccomp2\)"):
        box.command("landlock", Box(Path("/tmp/see-0-x")), "this")
    calls.program.cache_clear()
