"""A warm parent's forks: each in a box as good as one of its own, and nothing shared between them."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch

from grading import box, evaluation, parent, sandbox
from grading.box import Box
from grading.errors import SandboxError
from grading.kernel import CellEnd, Kernel
from grading.limits import Limits
from grading.parent import Forked, WarmParent
from grading.warm import SEED
from tests.fixtures import blending, ordinary_user, processes

IMPORTS = ("einops", "numpy")


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blending.edition(tmp_path_factory.mktemp("parent-edition"))


@pytest.fixture(scope="module")
def warm(edition: Path) -> Iterator[WarmParent]:
    made = WarmParent("bubblewrap", edition, IMPORTS)
    yield made
    made.close()
    assert not made.share.exists()
    assert processes.left() == []


def fork(warm: WarmParent, source: str, **limits: int) -> tuple[Forked, Path]:
    """A fork that runs a script, and its folder."""
    folder = warm.new_folder()
    (folder / "script.py").write_text(source)
    return warm.fork(Box(folder, memory_mb=1500, **limits), str(folder / "script.py"), []), folder


def said(warm: WarmParent, source: str, **limits: int) -> str:
    """What a script in a fork writes to its file `out`."""
    forked, folder = fork(warm, f"out = __import__('os').path.dirname(__file__) + '/out'\n{source}", **limits)
    assert sandbox.wait_until(lambda: not forked.alive, 20)
    error = forked.first_error()
    forked.kill()
    assert error == "", error
    return (folder / "out").read_text()


def test_the_self_test_finds_nothing_broken_in_a_fork(warm: WarmParent) -> None:
    assert parent.broken_promises(warm) == []


def test_without_the_second_lock_the_self_test_finds_it_missing(
    monkeypatch: pytest.MonkeyPatch, edition: Path
) -> None:
    """The same probe in a fork that leaves Landlock and seccomp out: it would notice."""
    bare = WarmParent("bubblewrap-only", edition, ())
    try:
        assert parent.broken_promises(bare) == []
        bare.rung = "bubblewrap"
        monkeypatch.setattr(box, "paths", lambda one: {"write": ["/"]})
        broken = parent.broken_promises(bare)
    finally:
        bare.close()
    assert "it can list what no rule names" in broken
    assert "its system calls are not filtered" in broken


def test_a_parent_whose_forks_do_not_hold_is_not_used_and_says_why(
    monkeypatch: pytest.MonkeyPatch, edition: Path
) -> None:
    monkeypatch.setattr(parent, "broken_promises", lambda warm: ["it can fly"])
    monkeypatch.setattr(parent, "_cold", {})
    assert parent.why_cold("bubblewrap", edition, ()) == "a warm parent's boxes do not hold here: it can fly."
    monkeypatch.undo()
    monkeypatch.setattr(parent, "_cold", {"bubblewrap": ["it can fly."]})
    try:
        # It may have been an accident, so it is tried again.
        assert parent.why_cold("bubblewrap", edition, ()) is None
    finally:
        parent.close_all()
    monkeypatch.setattr(parent, "_cold", {"bubblewrap": ["one"] * parent.TRIES})
    monkeypatch.setattr(parent, "WarmParent", None)  # but not for ever
    assert parent.why_cold("bubblewrap", edition, ()) == "one"
    assert parent.why_cold("none", edition, ()) == "the sandbox none has no warm parent."


def test_forks_find_nothing_that_another_one_wrote(warm: WarmParent) -> None:
    write = (
        "import os, socket, tempfile\n"
        "places = ['/tmp', '/dev/shm', os.path.expanduser('~')]\n"
        "for place in places: open(place + '/mine', 'w').write('secret')\n"
        "one = socket.socket(socket.AF_UNIX); one.bind('\\0mine'); one.listen()\n"
        "open(out, 'w').write('written')\n"
        "import time; time.sleep(60)\n"
    )
    source = f"out = __import__('os').path.dirname(__file__) + '/out'\n{write}"
    first, folder = fork(warm, source)
    try:
        assert sandbox.wait_until(lambda: (folder / "out").exists(), 20)
        look = (
            "import json, os, socket\n"
            "places = ('/tmp', '/dev/shm', os.path.expanduser('~'))\n"
            "found = [place + '/' + name for place in places for name in os.listdir(place)]\n"
            "found += [n for n in os.listdir(os.path.dirname(os.path.dirname(__file__)))]\n"
            "try: socket.socket(socket.AF_UNIX).connect('\\0mine'); found.append('socket')\n"
            "except OSError: pass\n"
            "found.append(sum(n.isdigit() for n in os.listdir('/proc')))\n"
            "open(out, 'w').write(json.dumps(found))\n"
        )
        found = json.loads(said(warm, look))
    finally:
        first.kill()
    mine = f"k{int(folder.name[1:]) + 1}"
    assert found == [f"/tmp/{warm.share.name}", mine, 2]  # its own folder of sockets, and its two processes


def test_a_fork_starts_as_a_fresh_process_does(warm: WarmParent) -> None:
    source = (
        "import json, os, random, sys, threading\n"
        "import numpy, torch\n"
        "here = '/proc/self/fd/'\n"
        "kept = [n for n in os.listdir(here) if int(n) > 2 and os.path.exists(here + n)]\n"
        "open(out, 'w').write(json.dumps({\n"
        "    'ours': [n for n in sys.modules if n.split('.')[0] == 'grading'],\n"
        "    'environment': sorted(os.environ),\n"
        "    'threads': threading.active_count(), 'torch': torch.get_num_threads(),\n"
        "    'sockets': [n for n in kept if os.readlink(here + n).startswith('socket:')],\n"
        "    'kept': len(kept),\n"
        "    'drawn': [random.random(), float(numpy.random.rand()), float(torch.rand(()))],\n"
        "    'cwd': os.getcwd(), 'name': __name__,\n"
        "}))\n"
    )
    first, second = json.loads(said(warm, source)), json.loads(said(warm, source))
    assert first == second
    fresh = torch.Generator().manual_seed(SEED)
    assert first["drawn"] == [
        random.Random(SEED).random(),
        float(numpy.random.RandomState(SEED % 2**32).rand()),
        float(torch.rand((), generator=fresh)),
    ]
    assert (
        fresh.initial_seed() == torch._C.default_generator.__class__().initial_seed()
    )  # torch's own default
    assert first["ours"] == []
    assert set(first["environment"]) <= {*box.environment(Box(warm.share)), "PWD"}
    assert (first["threads"], first["torch"], first["cwd"], first["name"]) == (1, 1, box.HOME, "__main__")
    # One to keep, as it was told; not its parent's socket, and no other fork's.
    assert (first["kept"], first["sockets"]) == (1, [])


def test_no_capability_and_no_way_back_to_one(warm: WarmParent) -> None:
    source = "open(out, 'w').write(open('/proc/self/status').read())"
    lines = dict(line.split(":\t", 1) for line in said(warm, source).splitlines() if ":\t" in line)
    assert {int(lines[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")


def test_its_limits_are_its_own(warm: WarmParent) -> None:
    """Forks have one user id; what one of them uses up is not taken from another."""
    hoard = (
        "import os, time\n"
        "children = 0\n"
        "try:\n"
        "    while children < 100:\n"
        "        if os.fork() == 0: time.sleep(60); os._exit(0)\n"
        "        children += 1\n"
        "except OSError: pass\n"
        "open(out, 'w').write(str(children))\n"
        "time.sleep({rest})\n"
    )
    source = f"out = __import__('os').path.dirname(__file__) + '/out'\n{hoard.format(rest=60)}"
    first, folder = fork(warm, source, processes=20)
    try:
        out = folder / "out"
        assert sandbox.wait_until(lambda: out.exists() and out.read_text() != "", 20)
        assert int(out.read_text()) == 18  # with number 1 and the script itself, 20
        inside = first.inside()
        assert len(inside) == 20
        assert said(warm, hoard.format(rest=0), processes=20) == "18"
    finally:
        first.kill()
    assert all(map(sandbox.gone, inside))


def test_the_scratch_folders_have_a_size(warm: WarmParent) -> None:
    source = (
        "import json, os\n"
        "sizes = {}\n"
        "for place in ('/tmp', '/dev/shm', os.path.expanduser('~')):\n"
        "    found = os.statvfs(place)\n"
        "    sizes[place] = [found.f_blocks * found.f_frsize >> 20, found.f_files]\n"
        "open(out, 'w').write(json.dumps(sizes))\n"
    )
    for size, files in json.loads(said(warm, source)).values():
        assert size == Limits.scratch_mb
        assert files <= 20_000


def test_what_a_fork_started_ends_with_it(warm: WarmParent) -> None:
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(1000)\n"
        "    os._exit(0)\n"
        "time.sleep(1000)"
    )
    forked, _ = fork(warm, source)
    assert sandbox.wait_until(lambda: len(forked.inside()) >= 3, 10)
    inside = forked.inside()
    forked.kill()
    forked.kill()
    assert all(map(sandbox.gone, inside))
    assert warm.alive


def test_a_script_that_cannot_start_says_why(warm: WarmParent) -> None:
    folder = warm.new_folder()
    forked = warm.fork(Box(folder, memory_mb=1500), str(folder / "nothing.py"), [])
    assert sandbox.wait_until(lambda: not forked.alive, 10)
    assert "FileNotFoundError" in forked.first_error()
    forked.kill()


def test_a_parent_that_is_killed_takes_its_forks_along_and_the_next_kernel_starts_another(
    edition: Path,
) -> None:
    try:
        one = Kernel(edition, Limits(memory_mb=800), "bubblewrap", IMPORTS)
        assert one.boxed is not None
        inside, old = one.boxed.inside(), parent.warm_parent("bubblewrap", edition, IMPORTS)
        os.kill(old.pid, signal.SIGKILL)
        assert sandbox.wait_until(lambda: all(map(sandbox.gone, inside)), 10)
        with pytest.raises(SandboxError, match="a warm parent ended"):  # ours, and never the cell's
            one.run("1", 5)
        one.close()
        two = Kernel(edition, Limits(memory_mb=800), "bubblewrap", IMPORTS)
        assert two.run("import einops", 5) == CellEnd("ok")
        two.close()
        assert parent.warm_parent("bubblewrap", edition, IMPORTS) is not old
    finally:
        parent.close_all()
    assert processes.left() == []


def test_a_parent_that_does_not_start_is_a_fault_of_ours_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, edition: Path
) -> None:
    monkeypatch.setattr(box, "START_WARM", "import sys; sys.exit('no way')")
    with pytest.raises(SandboxError, match="a warm parent ended: no way"):
        parent.warm_parent("bubblewrap", edition, ("this",))
    assert processes.left() == []


@pytest.mark.parametrize("step", ["_separate", "_furnish", "_give_up_capabilities"])
def test_where_a_fork_cannot_be_boxed_it_does_not_run_and_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, edition: Path, step: str
) -> None:
    """As on a machine that refuses namespaces inside a box: a step that fails ends the fork, and says so."""
    broken = f"import grading.warm; grading.warm.{step} = lambda *_: [][1]; sys.path.pop(0); "
    whole = "import grading.warm; sys.path.pop(0); "
    assert whole in box.START_WARM
    monkeypatch.setattr(box, "START_WARM", box.START_WARM.replace(whole, broken))
    monkeypatch.setattr(parent, "_cold", {})
    made = WarmParent("bubblewrap", edition, ())
    folder = made.new_folder()
    script = folder / "script.py"
    script.write_text("open(__file__ + '.ran', 'w')")
    started = time.monotonic()
    try:
        if step == "_separate":
            with pytest.raises(SandboxError, match="did not fork: IndexError"):
                made.fork(Box(folder, memory_mb=1500), str(script), [])
        else:
            forked = made.fork(Box(folder, memory_mb=1500), str(script), [])
            assert sandbox.wait_until(lambda: not forked.alive, 10)
            assert "IndexError" in forked.first_error()
            forked.kill()
        assert os.listdir(folder) == ["script.py"]
    finally:
        made.close()
    assert time.monotonic() - started < parent.FORK_S  # nobody waited for an answer that does not come
    assert not folder.exists()
    assert processes.left() == []


def test_both_processes_of_a_fork_are_locked_in(warm: WarmParent) -> None:
    """Number 1, which only waits, has no right that the kernel beside it has not."""
    forked, _ = fork(warm, "import time; time.sleep(60)")
    try:
        assert sandbox.wait_until(lambda: len(forked.inside()) == 2, 10)
        for pid in forked.inside():
            lines = dict(
                line.split(":\t", 1)
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if ":\t" in line
            )
            assert (lines["NoNewPrivs"], lines["Seccomp"], int(lines["CapBnd"], 16)) == ("1", "2", 0)
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert f"{1500 << 20}" in limits
    finally:
        forked.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another; others test this anyway")
def test_forks_hold_for_an_ordinary_user_too() -> None:
    code = (
        "import os; from grading import box, parent\n"
        "made = parent.WarmParent('bubblewrap', None, ())\n"
        "print(os.geteuid(), box.box_uid(), parent.broken_promises(made))\n"
        "made.close()"
    )
    said = ordinary_user.run(code)
    assert said.stdout.strip() == f"{ordinary_user.UID} None []", said.stderr


def test_a_module_that_is_not_there_does_not_keep_a_parent_from_starting(edition: Path) -> None:
    made = WarmParent("bubblewrap", edition, ("no_such_module", "einops"))
    try:
        assert said(made, "open(out, 'w').write('fine')") == "fine"
        assert made.missing == ["no_such_module"]
    finally:
        made.close()


def test_a_further_kernel_costs_little_memory(edition: Path) -> None:
    """PSS counts a shared page by its share, so that what a further kernel adds is the sum's growth."""

    def held() -> float:
        total = 0
        (one,) = parent.running()
        for pid in [one.pid, *sandbox.descendants(one.pid)]:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) if line.startswith("Pss:") else 0
        return total / 1024

    kernels = []
    try:
        for _ in range(2):
            kernels.append(Kernel(edition, Limits(memory_mb=800), "bubblewrap", IMPORTS))
            kernels[-1].run("import torch; torch.ones(3).sum()", 10)
            time.sleep(0.2)
            before = held() if len(kernels) == 1 else before
        assert held() - before < 60
    finally:
        for kernel in kernels:
            kernel.close()
        parent.close_all()


@pytest.mark.slow
def test_a_verdict_is_the_same_byte_for_byte_however_its_kernel_started(edition: Path) -> None:
    week = blending.week()
    submission = blending.notebook(*blending.SOLUTION)
    texts = []
    try:
        for warm in (False, True, True):
            verdict = evaluation.evaluate(submission, week, edition, seed=7, warm=warm)
            data = json.loads(verdict.to_json())
            assert data.pop("timings")["kernels"] == 1
            texts.append(json.dumps(data))
    finally:
        parent.close_all()
    assert texts[0] == texts[1] == texts[2]
