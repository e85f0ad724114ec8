"""Whatever arrives is taken in safely, whole, and once; nothing that counted before is lost."""

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from grading import collect, notebooks
from grading.errors import GradingError, SubmissionError, UsageError
from grading.layout import Layout
from grading.weeks import Week
from tests.fixtures import course_tree

Course = tuple[Layout, Week]
NOTEBOOK = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return course_tree.make(tmp_path / "course")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def own(text: str) -> bytes:
    """A notebook that differs from others."""
    cell = {"cell_type": "markdown", "metadata": {}, "source": text}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}).encode()


def put(place: Path, raw: bytes = NOTEBOOK, when: float | None = None) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(raw)
    if when is not None:
        os.utime(place, (when, when))
    return place


def counts(course: Course, student: str) -> bytes:
    layout, week = course
    return (layout.submitted / student / week.id / f"{week.id}.ipynb").read_bytes()


def kept(course: Course, student: str) -> set[bytes]:
    layout, week = course
    return {path.read_bytes() for path in (layout.var / "history" / week.id / student).iterdir()}


# -- forms ---------------------------------------------------------------------------------------------------


def test_every_form_of_a_folder_is_read(course: Course, inbox: Path) -> None:
    put(inbox / "ann.ipynb", own("ann"))
    put(inbox / "ben" / "week90_blending.ipynb", own("ben"))
    put(inbox / "eva" / "Copy of week 90 (1).ipynb", own("eva"))
    put(inbox / "kim" / "week90_blending" / "week90_blending.ipynb", own("kim"))
    put(inbox / "readme.txt", b"not a notebook")
    put(inbox / "ann" / ".ipynb_checkpoints" / "x-checkpoint.ipynb", own("a checkpoint"))
    done = collect.collect(*course, inbox)
    assert {one.student: one.what for one in done.taken} == dict.fromkeys(("ann", "ben", "eva", "kim"), "new")
    assert done.left == []
    for name in ("ann", "ben", "eva", "kim"):
        assert counts(course, name) == own(name)


@pytest.mark.parametrize(
    ("member", "student"),
    [
        ("Eva Blum_1234567_assignsubmission_file/week90_blending.ipynb", "Eva-Blum"),
        ("Eva Blum_1234567_assignsubmission_file_week90_blending.ipynb", "Eva-Blum"),
        ("blumeva_12345_67890_week90_blending.ipynb", "blumeva"),
        ("blumeva_LATE_12345_67890_week90_blending.ipynb", "blumeva"),
        ("Week 90_eblum_attempt_2026-01-30-15-00-00_week90_blending.ipynb", "eblum"),
        ("eva/week90_blending.ipynb", "eva"),
        ("eva.ipynb", "eva"),
    ],
)
def test_an_archive_is_read_by_the_names_that_an_lms_gives(
    course: Course, inbox: Path, member: str, student: str
) -> None:
    with zipfile.ZipFile(inbox / "all.zip", "w") as archive:
        archive.writestr(member, own("eva"))
    assert collect.collect(*course, inbox / "all.zip").students == [student]
    assert counts(course, student) == own("eva")


def test_one_learners_archive_inside_an_archive_is_read_one_level_deep(course: Course, inbox: Path) -> None:
    inner = inbox / "inner.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("week90_blending.ipynb", own("eva"))
    deeper = inbox / "deeper.zip"
    with zipfile.ZipFile(deeper, "w") as archive:
        archive.write(inner, "inner.zip")
    with zipfile.ZipFile(inbox / "outer.zip", "w") as archive:
        archive.write(inner, "eva.zip")
        archive.write(deeper, "ben.zip")
    inner.unlink()
    deeper.unlink()
    done = collect.collect(*course, inbox)
    assert done.students == ["eva"]
    assert [line for line in done.left if "one level deep" in line]


def test_a_pattern_of_ones_own_is_tried_first(course: Course, inbox: Path) -> None:
    put(inbox / "2026-ann-final.ipynb")
    pattern = r"\d+-(?P<student_id>\w+)-(?P<file_id>\w+\.ipynb)"
    assert collect.collect(*course, inbox, pattern).students == ["ann"]


@pytest.mark.parametrize("pattern", ["(", "(?P<student_id>x)", "plain"])
def test_a_pattern_that_is_none_is_refused_before_anything_is_read(
    course: Course, inbox: Path, pattern: str
) -> None:
    put(inbox / "ann.ipynb")
    with pytest.raises(UsageError, match="--pattern"):
        collect.collect(*course, inbox, pattern)
    assert not course[0].var.exists()


# -- what must not get in ------------------------------------------------------------------------------------


def test_links_and_special_files_are_named_and_not_opened(
    course: Course, inbox: Path, tmp_path: Path
) -> None:
    secret = put(tmp_path / "secret.ipynb", own("secret"))
    folder = tmp_path / "elsewhere"
    put(folder / "x.ipynb", own("secret"))
    (inbox / "ann.ipynb").symlink_to(secret)
    (inbox / "ben").symlink_to(folder)
    (inbox / "eva.zip").symlink_to(secret)
    os.mkfifo(inbox / "kim.ipynb")
    done = collect.collect(*course, inbox)
    assert done.taken == []
    assert len(done.left) == 4
    assert not course[0].submitted.exists()


def test_paths_that_lead_out_of_an_archive_are_left(course: Course, inbox: Path) -> None:
    with zipfile.ZipFile(inbox / "a.zip", "w") as archive:
        for name in ("../evil.ipynb", "/abs.ipynb", "a/../../b.ipynb", "C:\\x.ipynb", "..\\win.ipynb"):
            archive.writestr(name, own("evil"))
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("ok.ipynb", own("ok"))
    done = collect.collect(*course, inbox)
    assert done.students == ["ok"]
    assert len(done.left) == 6


def test_an_archive_that_unpacks_to_far_more_than_it_is_costs_neither_memory_nor_the_submission(
    course: Course, inbox: Path
) -> None:
    with zipfile.ZipFile(inbox / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.ipynb", b"0" * (40 << 20))
    (one,) = collect.collect(*course, inbox).taken
    assert one.receipt.note
    assert len(counts(course, "bomb")) < 1000
    with pytest.raises(SubmissionError, match="larger than 5 MB"):
        notebooks.read(counts(course, "bomb"))


def test_a_damaged_archive_is_named(course: Course, inbox: Path) -> None:
    put(inbox / "a.zip", b"PK\x03\x04 and then nothing")
    put(inbox / "ann.ipynb")
    done = collect.collect(*course, inbox)
    assert done.students == ["ann"]
    assert "no archive that can be read" in done.left[0]


def test_a_huge_notebook_is_kept_as_a_reason_and_never_dropped(course: Course, inbox: Path) -> None:
    with (inbox / "ann.ipynb").open("wb") as file:
        file.truncate(200 << 20)
    (one,) = collect.collect(*course, inbox).taken
    assert "200 MB" in one.receipt.note
    with pytest.raises(SubmissionError, match="200 MB"):
        notebooks.read(counts(course, "ann"))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe\x00", b'{"nbformat": 3, "worksheets": []}'])
def test_a_file_that_is_no_notebook_is_taken_as_it_is(course: Course, inbox: Path, raw: bytes) -> None:
    put(inbox / "ann.ipynb", raw)
    assert collect.collect(*course, inbox).students == ["ann"]
    assert counts(course, "ann") == raw


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "name"),
    [
        ("Müller, Jörg", "Muller-Jorg"),
        ("=cmd|'/c calc'!A1", "cmd-c-calc-A1"),
        ("a@b.org", "a@b.org"),
        ("../..", None),
        ("李雷", None),
        ("x" * 300, "x" * 48),
        ("-rf", "rf"),
        ("a+b", "a-b"),
    ],
)
def test_a_name_becomes_one_that_everything_can_carry(who: str, name: str | None) -> None:
    found = collect.safe_name(who)
    assert found == name if name else found.startswith("learner-")
    assert found[0] not in "=+-@."
    assert len(found) <= 64


def test_two_learners_never_share_a_name_and_keep_theirs(course: Course, inbox: Path) -> None:
    put(inbox / "Ann.ipynb", own("Ann"))
    put(inbox / "ann.ipynb", own("ann"))
    put(inbox / "Jörg.ipynb", own("Jörg"))
    put(inbox / "Jorg.ipynb", own("Jorg"))
    first = {one.who: one.student for one in collect.collect(*course, inbox).taken}
    assert len({name.casefold() for name in first.values()}) == 4
    second = {one.who: one.student for one in collect.collect(*course, inbox).taken}
    assert first == second
    for who, student in first.items():
        assert counts(course, student) == own(who)


# -- time, receipts, and again -------------------------------------------------------------------------------


def test_collecting_again_changes_nothing(course: Course, inbox: Path) -> None:
    put(inbox / "ann.ipynb", own("one"))
    collect.collect(*course, inbox)
    receipt = (course[0].var / "receipts" / course[1].id / "ann.json").read_bytes()
    assert [one.what for one in collect.collect(*course, inbox).taken] == ["unchanged"]
    assert (course[0].var / "receipts" / course[1].id / "ann.json").read_bytes() == receipt


def test_the_newest_counts_and_every_older_one_is_kept(course: Course, inbox: Path) -> None:
    put(inbox / "ann.ipynb", own("one"))
    collect.collect(*course, inbox)
    put(inbox / "ann.ipynb", own("two"))
    assert [one.what for one in collect.collect(*course, inbox).taken] == ["newer"]
    assert counts(course, "ann") == own("two")
    assert kept(course, "ann") == {own("one"), own("two")}
    assert [one.sha256 for one in collect.receipts(*course)["ann"]] == [
        __import__("hashlib").sha256(own(text)).hexdigest() for text in ("one", "two")
    ]


def test_an_old_folder_collected_late_does_not_bring_old_work_back(course: Course, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    put(old / "ann.ipynb", own("one"), when=1_700_000_000)
    put(new / "ann.ipynb", own("two"), when=1_700_100_000)
    collect.collect(*course, old)
    collect.collect(*course, new)
    assert [one.what for one in collect.collect(*course, old).taken] == ["older"]
    assert counts(course, "ann") == own("two")


def test_of_several_at_once_the_last_saved_counts_and_a_forged_time_is_only_claimed(
    course: Course, inbox: Path
) -> None:
    put(inbox / "ann" / "a.ipynb", own("early"), when=1_600_000_000)
    put(inbox / "ann" / "b.ipynb", own("late"), when=1_700_000_000)
    put(inbox / "ben" / "a.ipynb", own("ben"), when=9_999_999_999)
    collect.collect(*course, inbox)
    assert counts(course, "ann") == own("late")
    assert kept(course, "ann") == {own("early"), own("late")}
    (receipt,) = collect.receipts(*course)["ben"]
    assert receipt.received < "2100"
    stamp = course[0].submitted / "ben" / course[1].id / "timestamp.txt"
    assert stamp.read_text().strip() == receipt.received


def test_submissions_are_for_the_owners_eyes(course: Course, inbox: Path) -> None:
    put(inbox / "ann.ipynb")
    collect.collect(*course, inbox)
    layout, week = course
    path = layout.submitted / "ann" / week.id / f"{week.id}.ipynb"
    assert path.stat().st_mode & 0o077 == 0


def test_a_missing_source_and_a_full_disk_end_with_one_sentence(
    course: Course, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        collect.collect(*course, inbox / "nothing")
    put(inbox / "ann.ipynb", own("one"))
    put(inbox / "ben.ipynb", own("two"))
    replace, calls = os.replace, []

    def full(source: str, target: Path) -> None:
        calls.append(target)
        if len(calls) == 4:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GradingError, match="No space left"):
        collect.collect(*course, inbox)
    monkeypatch.undo()
    assert not [path for path in course[0].var.rglob(".taking-*")]
    collect.collect(*course, inbox)
    assert counts(course, "ann") == own("one")
    assert counts(course, "ben") == own("two")
    assert sorted(collect.receipts(*course)) == ["ann", "ben"]
