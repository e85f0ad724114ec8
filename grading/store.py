"""Keeps verdicts: one JSON file each, found by what was judged and by what judged it.

A file is written beside its place, flushed to the disk, and moved there: at any moment it is whole or absent.
Nothing is ever changed. Grading again with the same submission and suite finds the verdict instead of making
one.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import psutil

from grading.errors import CourseBroken
from grading.records import RUNGS, Verdict

SECRET_BYTES = 32
PART = ".part"
REMEDY = "delete it and grade again."


class Store:
    """Verdicts under one folder, WEEK/first two digits/key.json.

    Args:
        root: made when the first verdict is put.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, week: str, submission: str, suite: str, sandbox: str) -> Path:
        """Where the verdict on these bytes by this suite is, or would be."""
        key = hashlib.sha256(f"{week}\n{submission}\n{suite}\n{sandbox}".encode()).hexdigest()
        return self.root / week / key[:2] / f"{key}.json"

    def get(self, week: str, submission: str, suite: str, sandbox: str | None = None) -> Verdict | None:
        """The stored verdict, or None.

        Args:
            sandbox: the rung it must have been made on; None takes any, the strongest first.

        Raises:
            CourseBroken: there is a file, and it is not that verdict.
        """
        for rung in RUNGS if sandbox is None else (sandbox,):
            path = self.path(week, submission, suite, rung)
            try:
                text = path.read_text(encoding="utf-8")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as problem:
                raise CourseBroken(f"the verdict {path} cannot be read ({problem}); {REMEDY}") from None
            verdict = Verdict.from_json(text)
            if (verdict.week, verdict.submission, verdict.suite) != (week, submission, suite):
                raise CourseBroken(f"the verdict {path} is about something else; {REMEDY}")
            return verdict
        return None

    def put(self, verdict: Verdict) -> Path:
        """Store a verdict; when this returns, it is on the disk."""
        path = self.path(verdict.week, verdict.submission, verdict.suite, verdict.sandbox)
        write_whole(path, verdict.to_json().encode("utf-8", "replace"))
        return path

    def all(self, week: str) -> list[Verdict]:
        """Every stored verdict of a week, in the order of their keys."""
        return [
            Verdict.from_json(path.read_text(encoding="utf-8"))
            for path in sorted((self.root / week).glob("*/*.json"))
        ]


def write_whole(path: Path, content: bytes, mode: int = 0o644, sync: bool = True) -> None:
    """Write a file so that it is whole or absent, whatever happens meanwhile.

    Args:
        mode: of the file. A folder that has to be made for a private one is private, too.
        sync: come back when it is on the disk; what can be made again needs no such wait.

    Raises:
        OSError: no room, or no right; it names the file, and the old one is as it was.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o777 if mode & 0o077 else 0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{os.getpid()}-", suffix=PART)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if sync:
                os.fsync(file.fileno())
        os.replace(name, path)
        if sync:
            _sync_folder(path.parent)  # the new name, not only the bytes
    except BaseException as problem:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
        if isinstance(problem, OSError):
            # A write that finds no room names no file, and a temporary name helps nobody.
            problem.filename, problem.filename2 = str(path), None
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def work_folder(parent: Path) -> "tempfile.TemporaryDirectory[str]":
    """A folder to prepare something in, on the disk where it will stand."""
    return tempfile.TemporaryDirectory(
        dir=parent, prefix=f".{os.getpid()}-", suffix=PART, ignore_cleanup_errors=True
    )


def sweep(*roots: Path) -> None:
    """Remove what writers that were killed in the middle have left. On a small disk it would add up."""
    for root in roots:
        for part in list(root.rglob(f".*{PART}")):
            owner = part.name[1:].split("-")[0]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                if part.is_dir() and not part.is_symlink():
                    shutil.rmtree(part, ignore_errors=True)
                else:
                    part.unlink(missing_ok=True)


def load_secret(path: Path) -> bytes:
    """The course's secret, made on first use. Whoever knows it can predict hidden inputs.

    Raises:
        CourseBroken: the file is there and is not a secret.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}{PART}")
        write_whole(new, secrets.token_bytes(SECRET_BYTES), mode=0o600)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(new, path)  # of two graders that start at once, one secret wins
        finally:
            new.unlink()
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise CourseBroken(
            f"{path} holds {len(secret)} bytes where a secret has {SECRET_BYTES}; "
            "restore it, or delete it and grade again."
        )
    return secret
