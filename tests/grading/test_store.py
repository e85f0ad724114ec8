"""Verdicts on disk: whole or absent, found again, never about something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grading.errors import CourseBroken
from grading.records import CheckRecord, ExerciseRecord, Verdict
from grading.store import SECRET_BYTES, Store, load_secret, write_whole


def verdict(score: float = 3.0, sandbox: str = "bubblewrap", submission: str = "a" * 64) -> Verdict:
    check = CheckRecord("it_holds", True, "It holds.", "", "", False, 1.0)
    exercise = ExerciseRecord("one", score, 4.0, "partly right", None, None, [check])
    return Verdict("week90_x", score, 4.0, sandbox, submission, "b" * 64, 7, [exercise], ["a note: naïve"])


def test_a_stored_verdict_is_found_again_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "verdicts")
    assert store.get("week90_x", "a" * 64, "b" * 64) is None
    path = store.put(verdict())
    assert store.get("week90_x", "a" * 64, "b" * 64) == verdict()
    assert path.read_text(encoding="utf-8") == verdict().to_json()
    assert store.all("week90_x") == [verdict()]


def test_another_suite_or_submission_is_another_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(verdict())
    assert store.get("week90_x", "a" * 64, "c" * 64) is None
    assert store.get("week90_x", "c" * 64, "b" * 64) is None
    assert store.get("week91_x", "a" * 64, "b" * 64) is None


def test_a_verdict_made_without_a_sandbox_does_not_pass_for_one_made_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(verdict(1.0, "none"))
    assert store.get("week90_x", "a" * 64, "b" * 64, "bubblewrap") is None
    found = store.get("week90_x", "a" * 64, "b" * 64)
    assert found is not None
    assert found.sandbox == "none"
    store.put(verdict(2.0))
    strongest = store.get("week90_x", "a" * 64, "b" * 64)
    assert strongest is not None
    assert strongest.score == 2.0


def test_a_damaged_verdict_is_a_fault_of_ours_and_says_what_to_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.put(verdict())
    path.write_text(path.read_text()[:-40])
    with pytest.raises(CourseBroken, match="grade again"):
        store.get("week90_x", "a" * 64, "b" * 64)
    path.write_text(verdict(submission="d" * 64).to_json())
    with pytest.raises(CourseBroken, match="about something else"):
        store.get("week90_x", "a" * 64, "b" * 64)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    write_whole(path, b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("kept", b"old")]


def test_a_writer_killed_at_any_moment_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    """A process writes large files one after another and is killed; what has its final name is whole."""
    code = (
        "import sys; from pathlib import Path; from grading.store import write_whole\n"
        "n = 0\n"
        "while True:\n"
        "    write_whole(Path(sys.argv[1]) / str(n % 5), bytes([n % 251]) * 3_000_000); n += 1\n"
        "    print(n, flush=True)"
    )
    for pause in range(6):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(3 + pause):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        whole = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
        assert whole
        for path in whole:
            content = path.read_bytes()
            assert len(content) == 3_000_000
            assert len(set(content)) == 1


def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret"
    secret = load_secret(path)
    assert len(secret) == SECRET_BYTES
    assert load_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret"]
    path.write_bytes(b"short")
    with pytest.raises(CourseBroken, match="5 bytes"):
        load_secret(path)
