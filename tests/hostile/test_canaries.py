"""No notebook finds a secret of the grader's: in a gradebook, another submission, or anybody's memory."""

import dataclasses
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from course_lib import wire
from grading import collect, evaluation, feedback, kernel, parent, record, release, sandbox
from grading.records import Verdict
from grading.session import Session
from tests.fixtures import blending, course_tree
from tests.fixtures.blending import IMPORTS
from tests.hostile.canaries import FORM, SEARCHES, Canaries, made, searching
from tests.hostile.test_hostile import left_behind

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

LIMITS = {"cell_s": 60.0, "question_s": 10.0, "submission_s": 150.0, "memory_mb": 1500}
HELD: list[str] = []  # in this process's memory, as a grader's secrets are
KINDS = pytest.mark.parametrize("warm", [True, False], ids=["forked", "cold"])


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blending.edition(tmp_path_factory.mktemp("canary-edition"))


@pytest.fixture(scope="module")
def hidden(edition: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    """A canary in each place, and a neighbour that is graded meanwhile."""
    hidden = Canaries()
    layout, week = course_tree.make(tmp_path_factory.mktemp("canaries") / "course")
    release.release(layout, week)
    release.register(layout, week)
    inbox = layout.inbox
    inbox.mkdir(parents=True)
    raw = course_tree.as_file(course_tree.submission(week, {"blend": f"# {hidden.new('submission')}"}))
    (inbox / "ann.ipynb").write_bytes(raw)
    (student,) = collect.collect(layout, week, inbox).students
    stored = layout.submitted / student / week.id / f"{week.id}.ipynb"
    assert hidden.inside(stored.read_bytes()) == {"submission"}
    verdict = course_tree.verdict(week, raw)
    (done,) = record.record(layout, week, {student: verdict})
    assert done.problem == ""
    with Gradebook(layout.gradebook_url) as book:
        comment = book.find_submission_notebook(week.id, week.id, student).comments[0]
        comment.manual_comment = hidden.new("gradebook")
        book.db.commit()
    assert "gradebook" in hidden.inside(layout.gradebook.read_bytes())
    file = Path(f"/tmp/course-canary-{os.getpid()}")
    file.write_text(hidden.new("file"))
    HELD.append(hidden.new("grader"))
    os.environ["COURSE_CANARY"] = hidden.new("environment")
    hidden.paths = [file, stored, inbox / "ann.ipynb", layout.gradebook, layout.secret, layout.verdicts]
    hidden.paths += [Path(f"/proc/{os.getpid()}/{part}") for part in ("environ", "cmdline", "mem", "maps")]
    # Open in this process, and left open for its children: none of that may arrive in a box.
    with (
        tempfile.TemporaryFile() as opened,
        socket.socket(socket.AF_UNIX) as named,
        subprocess.Popen(["sleep", "600"], env={"COURSE_CANARY": hidden.new("process")}) as other,
    ):
        opened.write(hidden.new("descriptor").encode())
        opened.flush()
        os.set_inheritable(opened.fileno(), True)
        named.bind("\0grader")
        named.listen()
        neighbour = started(edition, hidden.new("neighbour"))
        try:
            yield hidden
        finally:
            neighbour.close()
            other.kill()
            parent.close_all()
            file.unlink()
            del os.environ["COURSE_CANARY"]
            HELD.clear()
    assert left_behind() == []


def started(edition: Path, value: str) -> Session:
    """Another learner's submission, run in a fork of the same warm parent and not judged yet."""
    hide = (
        "import os, socket\n"
        f"mine = {value!r}\n"
        "os.environ['MINE'] = mine\n"
        "for place in ('/tmp', '/dev/shm', os.path.expanduser('~')):\n"
        "    open(place + '/mine', 'w').write(mine)\n"
        "one = socket.socket(socket.AF_UNIX); one.bind(chr(0) + 'mine'); one.listen()\n"
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], env={'MINE': mine})\n"
    )
    week = blending.week(**LIMITS)
    assert parent.why_cold("bubblewrap", edition, week.imports) is None
    cells = [blending.cell(IMPORTS), blending.cell(hide)]
    session = Session(cells, set(), edition, week.limits, "bubblewrap", week.imports)
    session.kernel()
    assert session.ends == {}, "the neighbour did not hide what it was to hide"
    return session


@dataclasses.dataclass
class Came:
    """Everything that came out of a box.

    Args:
        raw: the bytes of every reply, of the shared folder and of standard error.
        verdict: the verdict.
        page: the learner's feedback page.
    """

    raw: bytes
    verdict: Verdict
    page: str

    @property
    def all(self) -> bytes:
        return self.raw + self.verdict.to_json().encode() + self.page.encode()


def came(
    content: bytes, edition: Path, warm: bool, monkeypatch: pytest.MonkeyPatch, imports: tuple[str, ...] = ()
) -> Came:
    """Grade a notebook, and keep what comes out of its box by any way."""
    raw: list[bytes] = []
    read, close = wire._read, kernel.Kernel.close

    def reading(*arguments: Any) -> bytes:
        raw.append(read(*arguments))
        return raw[-1]

    def closing(one: kernel.Kernel) -> None:
        raw.extend(path.read_bytes() for path in one.share.rglob("*") if path.is_file())
        if one.boxed is not None:
            one.boxed.errors.seek(0)
            raw.append(one.boxed.errors.read())
        close(one)

    monkeypatch.setattr(wire, "_read", reading)
    monkeypatch.setattr(kernel.Kernel, "close", closing)
    week = blending.week(**LIMITS)
    if imports:
        vars(week)["imports"] = (*week.imports, *imports)  # a cached property of something frozen
    verdict = evaluation.evaluate(content, week, edition, seed=11, warm=warm)
    if warm:
        assert parent.running(), "the kernel was not forked"
    page = feedback.page(week, "eve", verdict, {one.id: content.decode() for one in week.exercises})
    return Came(b"\n".join(raw), verdict, page)


@KINDS
@pytest.mark.parametrize("which", SEARCHES)
def test_no_search_finds_a_canary(
    which: str, warm: bool, edition: Path, hidden: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(hidden.values) == 8
    found = came(searching(which, hidden.paths), edition, warm, monkeypatch)
    assert hidden.inside(found.all) == set()
    assert re.findall(FORM.encode(), found.all) == []
    # It really searched to its end, and told by every way it has: there was nothing to tell.
    (note,) = found.verdict.notes
    assert "raised RuntimeError: nothing" in note
    assert b"nothing" in found.raw


# How each search would find something: the same box, with a canary in it. The digits stand there backwards,
# so that no cell's source is what is found.
PLANT = {
    "files": "open('hidden', 'w').write(planted())",
    "processes": (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], env={'X': planted()})"
    ),
    "memory": "held = bytearray(planted(), 'ascii')",
    "descriptors": "import os\nnumber = os.memfd_create('x'); os.write(number, planted().encode())",
}


def planting(value: str, how: str) -> str:
    word, place, digits = value.split("-")
    return f"planted = lambda: '-'.join([{word!r}, {place!r}, {digits[::-1]!r}[::-1]])\n{how}"


@KINDS
@pytest.mark.parametrize("which", SEARCHES)
def test_a_canary_inside_the_box_is_found_and_told(
    which: str, warm: bool, edition: Path, hidden: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: each search works, and each way out is watched."""
    value = made("inside")
    content = searching(which, [], planting(value, PLANT[which]))
    assert value.encode() not in content
    found = came(content, edition, warm, monkeypatch)
    assert value.encode() in found.raw, found.verdict.notes
    assert any(value in note for note in found.verdict.notes)
    assert value in found.page


def memory_of(pid: int) -> Iterator[bytes]:
    """What a process holds, read from outside."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            start, end = (int(number, 16) for number in span.split("-"))
            if rights.startswith("rw"):
                for at in range(start, end, 1 << 22):
                    try:
                        memory.seek(at)
                        yield memory.read(min((1 << 22) + 64, end - at))
                    except (OSError, ValueError):
                        continue


def held_by(one: parent.WarmParent, hidden: Canaries) -> set[str]:
    found: set[str] = set()
    for pid in [one.pid, *sandbox.descendants(one.pid)][:3]:  # bubblewrap twice, then the parent
        for block in memory_of(pid):
            found |= hidden.inside(block)
        found |= hidden.inside(Path(f"/proc/{pid}/environ").read_bytes())
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's memory is read, which takes root")
def test_a_warm_parent_holds_no_secret_of_its_grader(edition: Path, hidden: Canaries) -> None:
    """Its forks begin as copies of its memory: what is not in there, none of them can find."""
    (one,) = parent.running()
    assert one.alive
    assert held_by(one, hidden) == set()
    # The control: the same reading finds this process's own.
    assert "grader" in {place for block in memory_of(os.getpid()) for place in hidden.inside(block)}


def test_a_canary_in_a_warm_parent_would_be_found_by_its_forks(
    tmp_path: Path, hidden: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs last: it takes the neighbours' parent away. A module that the parent imports holds the canary."""
    own, value = blending.edition(tmp_path), made("parent")
    module = own / "course_lib" / "holds.py"
    module.write_text(planting(value, "held = bytearray(planted(), 'ascii')") + "\n")
    module.chmod(0o644)
    found = came(searching("memory", []), own, True, monkeypatch, imports=("course_lib.holds",))
    assert any(value in note for note in found.verdict.notes), found.verdict.notes
    parent.close_all()
