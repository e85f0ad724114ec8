"""Takes submissions in: a folder of notebooks, or the archives an LMS gives out.

Whatever arrives is a stranger's. Links, devices, `..`, absolute paths, archives that unpack to gigabytes and
names that collide are refused or renamed, each with a sentence; a file that is no notebook is still taken, so
that it is graded (with nothing, and the reason) and never lost. The newest submission of a learner counts.
Every older one is kept, and each has a receipt: a hash, a size, and when it was taken in.

    var/submitted/STUDENT/WEEK/WEEK.ipynb    what counts: nbgrader's place
    var/history/WEEK/STUDENT/HASH.ipynb      everything that ever came
    var/receipts/WEEK/STUDENT.json           what came when, and what counts
"""

import hashlib
import io
import json
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from nbgrader.plugins.zipcollect import FileNameCollectorPlugin

from grading import notebooks
from grading.errors import GradingError, SubmissionError, UsageError
from grading.layout import Layout
from grading.lock import locked
from grading.store import write_whole
from grading.trouble import of
from grading.weeks import Week

# What LMSs call a file, most telling first. nbgrader's own collector reads these; --pattern adds one.
PATTERNS = {
    "moodle": (
        r"(?:.*/)?(?P<student_id>[^/]+?)_\d{3,}_assignsubmission_file(?:_)?/?(?P<file_id>[^/]+\.ipynb)$"
    ),
    "canvas": r"(?:.*/)?(?P<student_id>[^/_]+)(?:_LATE)?_\d{3,}_\d{3,}_(?P<file_id>[^/]+\.ipynb)$",
    "blackboard": (
        r"(?:.*/)?[^/]*?_(?P<student_id>[^/_]+)_attempt_(?P<timestamp>\d{4}(?:-\d\d){5})_(?P<file_id>[^/]+\.ipynb)$"
    ),
}
FILES_CAP = 20_000
DEPTH_CAP = 6
ARCHIVE_CAP_MB = 4_000
RATIO_CAP = 200
SKIPPED = {"__MACOSX", ".ipynb_checkpoints", ".git", "Thumbs.db"}


@dataclass(frozen=True)
class Found:
    """One notebook that came in, with what is known about it before it is read.

    Args:
        who: the learner as the source names them.
        name: the file's name at the source, for the receipt.
        claimed: when the source says it was saved; a learner can forge it, so it decides only between several
            notebooks that one learner handed in at once.
        raw: its bytes, unless `refused` says why they were not taken.
    """

    who: str
    name: str
    claimed: float
    raw: bytes = field(repr=False, default=b"")
    refused: str = ""


@dataclass(frozen=True)
class Receipt:
    """One notebook that was taken in."""

    sha256: str
    size: int
    received: str
    claimed: str
    source: str
    file: str
    note: str = ""


@dataclass(frozen=True)
class Taken:
    """What became of one notebook: "new", "newer", "unchanged", "older" (kept, but does not count)."""

    student: str
    who: str
    what: str
    receipt: Receipt


@dataclass
class Collected:
    """What came in, and what was left where it was, each with a sentence."""

    taken: list[Taken] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def students(self) -> list[str]:
        return sorted({one.student for one in self.taken})


def collect(
    layout: Layout,
    week: Week,
    source: Path,
    pattern: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Collected:
    """Take in every submission for `week` from a folder or an archive.

    Args: source: STUDENT.ipynb, STUDENT/anything.ipynb, or archives as an LMS gives them, in a folder or
        alone. pattern: a regular expression with the groups student_id and file_id, and perhaps timestamp, as
        nbgrader's
            zip_collect reads it; tried before the ones known here.

        say: told when another collection has to end first: both would write the same receipts.

    Raises:
        UsageError: the source is missing, or the pattern is none.
        MachineTrouble: the disk is full, or var/ cannot be written to; what was taken in so far is whole.
    """
    if pattern is not None:
        _compiled(pattern)
    if not source.exists():
        raise UsageError(f"{source} does not exist; give a folder of notebooks, or an LMS's archive.")
    result = Collected()
    by_student: dict[str, list[Found]] = {}
    try:
        with locked(layout, say, what="collecting"):
            names = _Names(layout, week)
            for found in _arrivals(source, week, pattern, result.left):
                by_student.setdefault(names.of(found.who), []).append(found)
            for student, several in sorted(by_student.items()):
                _take(layout, week, student, several, source, result)
    except OSError as problem:
        trouble = of(problem, layout.var)
        if trouble is not None:
            raise trouble from None
        place = problem.filename or layout.var
        raise GradingError(
            f"{place} could not be written or read ({problem.strerror}); what was taken in so far is "
            "whole: put that right and collect again."
        ) from None
    return result


def receipts(layout: Layout, week: Week) -> dict[str, list[Receipt]]:
    """Every receipt of a week, by learner, oldest first; the last one counts."""
    found = {}
    for path in sorted((layout.var / "receipts" / week.id).glob("*.json")):
        found[path.stem] = _read_receipts(path)
    return found


# -- what came -------------------------------------------------------------------------------------------


def _arrivals(source: Path, week: Week, pattern: str | None, left: list[str]) -> Iterator[Found]:
    if source.is_file():
        yield from _from_file(source, source.name, source.name, week, pattern, left)
        return
    count = 0
    for path, inside in _walk(source, PurePosixPath(), left):
        count += 1
        if count > FILES_CAP:
            raise UsageError(
                f"{source} has more than {FILES_CAP} files; collect one week's folder at a time."
            )
        yield from _from_file(path, inside.as_posix(), source.name, week, pattern, left)


def _walk(folder: Path, inside: PurePosixPath, left: list[str]) -> Iterator[tuple[Path, PurePosixPath]]:
    """Regular files under a folder, in a fixed order; links and special files are named, not opened."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        left.append(f"{inside} was left out: it cannot be read ({problem.strerror}).")
        return
    for entry in entries:
        here = inside / _printable(entry.name)
        if entry.name in SKIPPED or entry.name.startswith("."):
            continue
        if entry.is_symlink():
            left.append(f"{here} was left out: it is a link, and a link may lead anywhere.")
        elif entry.is_dir(follow_symlinks=False):
            if len(here.parts) > DEPTH_CAP:
                left.append(f"{here} was left out: it lies more than {DEPTH_CAP} folders deep.")
            else:
                yield from _walk(Path(entry.path), here, left)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path), here
        else:
            left.append(f"{here} was left out: it is a device, a pipe or a socket.")


def _from_file(
    path: Path, inside: str, outer: str, week: Week, pattern: str | None, left: list[str]
) -> Iterator[Found]:
    if path.suffix.lower() == ".zip":
        try:
            with open(path, "rb", opener=_no_links) as file:
                yield from _from_archive(file, inside, week, pattern, left, depth=0)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as problem:
            left.append(f"{inside} was left out: it is no archive that can be read ({problem}).")
    elif path.suffix.lower() == ".ipynb":
        claimed = path.lstat().st_mtime
        who, claimed = _whose(inside, week, pattern, claimed)
        try:
            raw = notebooks.load_bytes(path, week.limits.notebook_mb)
        except SubmissionError as problem:
            if path.lstat().st_size > week.limits.notebook_mb << 20:
                yield Found(who, inside, claimed, refused=str(problem))
            else:  # not the learner's doing: permissions, a disk
                left.append(f"{inside} was left out: {problem}")
        else:
            yield Found(who, inside, claimed, raw)


def _from_archive(
    file: Any, name: str, week: Week, pattern: str | None, left: list[str], depth: int
) -> Iterator[Found]:
    """Notebooks in a zip archive. Sizes in its directory are claims: what counts is what comes out."""
    cap = week.limits.notebook_mb << 20
    total = 0
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > FILES_CAP:
            left.append(f"{name} was left out: it holds more than {FILES_CAP} files.")
            return
        for member in members:
            label = f"{name}: {_printable(member.filename)}"
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if (
                member.is_dir()
                or path.name in SKIPPED
                or SKIPPED & set(path.parts)
                or path.name.startswith(".")
            ):
                continue
            if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
                left.append(f"{label} was left out: its path leads out of the archive.")
                continue
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                left.append(f"{label} was left out: it is a link or a special file.")
                continue
            kind = path.suffix.lower()
            if kind not in (".ipynb", ".zip"):
                continue
            if member.flag_bits & 1:
                left.append(f"{label} was left out: it is encrypted.")
                continue
            most = (
                cap if kind == ".ipynb" else min(ARCHIVE_CAP_MB << 20, max(member.compress_size * 2, 1 << 20))
            )
            try:
                with archive.open(member) as stream:
                    raw = stream.read(most + 1)
            except (
                zipfile.BadZipFile,
                OSError,
                EOFError,
                NotImplementedError,
                RuntimeError,
                ValueError,
            ) as problem:
                raw, broken = b"", f"it is damaged in the archive ({problem})"
            else:
                broken = ""
            total += len(raw)
            bomb = len(raw) > 1 << 20 and len(raw) > RATIO_CAP * max(member.compress_size, 1)
            if total > ARCHIVE_CAP_MB << 20:
                left.append(
                    f"{name} was left out from {label} on: it unpacks to more than {ARCHIVE_CAP_MB} MB."
                )
                return
            if kind == ".zip":
                if broken or len(raw) > most or depth >= 1:
                    left.append(
                        f"{label} was left out: archives in archives are read one level deep, unbroken."
                    )
                    continue
                try:
                    # One learner's files, zipped once more: the inner archive's name says whose.
                    inner = f"{path.with_suffix('')}"
                    yield from _from_archive(io.BytesIO(raw), inner, week, pattern, left, depth + 1)
                except zipfile.BadZipFile as problem:
                    left.append(f"{label} was left out: it is no archive that can be read ({problem}).")
                continue
            full = path.as_posix() if depth == 0 else f"{name}/{path.as_posix()}"
            who, claimed = _whose(full, week, pattern, _zip_time(member), archive=name)
            if broken:
                yield Found(who, label, claimed, refused=f"The notebook could not be read: {broken}.")
            elif bomb:
                yield Found(
                    who,
                    label,
                    claimed,
                    refused="The notebook unpacks to far more than it is; it was not taken.",
                )
            elif len(raw) > cap:
                yield Found(
                    who,
                    label,
                    claimed,
                    refused=f"The notebook is larger than {week.limits.notebook_mb} MB; clear its outputs.",
                )
            else:
                yield Found(who, label, claimed, raw)


def _whose(
    inside: str, week: Week, pattern: str | None, claimed: float, archive: str = ""
) -> tuple[str, float]:
    """(the learner a path names, when it was handed in). nbgrader's collector reads LMS names; else the path
    says it.
    """
    plugin = FileNameCollectorPlugin()
    plugin.log.disabled = True
    plugin.valid_ext = [".ipynb", ".IPYNB", ".Ipynb"]
    for one in [*([pattern] if pattern else []), *PATTERNS.values()]:
        plugin.named_regexp = one
        read = plugin.collect(inside)
        if read and read.get("student_id"):
            return str(read["student_id"]), _lms_time(read.get("timestamp"), claimed)
    path = PurePosixPath(inside)
    if len(path.parts) == 1:
        # One notebook alone in a learner's archive: the archive carries the name.
        alone = archive and path.stem in (week.id, week.id.split("_")[0])
        return (PurePosixPath(archive).stem if alone else path.stem), claimed
    folders = [part for part in path.parts[:-1] if part != week.id]
    return (folders[-1] if folders else path.stem), claimed


def _lms_time(stamp: str | None, otherwise: float) -> float:
    parts = [int(part) for part in re.findall(r"\d+", stamp or "")[:6]]
    if len(parts) < 3:
        return otherwise
    year, month, day, hour, minute, second = (*parts, 0, 0, 0)[:6]
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return otherwise


def _zip_time(member: zipfile.ZipInfo) -> float:
    try:
        return datetime(*member.date_time, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _compiled(pattern: str) -> None:
    try:
        groups = set(re.compile(pattern).groupindex)
    except re.error as problem:
        raise UsageError(f"--pattern is no regular expression ({problem}): {pattern}") from None
    if not {"student_id", "file_id"} <= groups:
        raise UsageError("--pattern needs the named groups (?P<student_id>…) and (?P<file_id>…).")


def _no_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


# -- names -----------------------------------------------------------------------------------------------


def safe_name(who: str) -> str:
    """A learner's name as nbgrader, a file system and a spreadsheet can carry it: letters, digits, . _ @ -"""
    flat = unicodedata.normalize("NFKD", who).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._@-]+", "-", flat).strip("-._@")[:48].rstrip("-._@")
    return name or "learner-" + _short(who)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:6]


class _Names:
    """One id for one learner, the same at every collection; two learners never share one, not even on a disk
    that takes Ann for ann."""

    def __init__(self, layout: Layout, week: Week) -> None:
        self.file = layout.var / "learners.json"
        try:
            self.known: dict[str, str] = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.known = {}

    def of(self, who: str) -> str:
        if who not in self.known:
            name = safe_name(who)
            if name.casefold() in {taken.casefold() for taken in self.known.values()}:
                name = f"{name}-{_short(who)}"
            self.known[who] = name
            _write(
                self.file,
                json.dumps(self.known, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n",
            )
        return self.known[who]


# -- keeping ---------------------------------------------------------------------------------------------


def _take(
    layout: Layout, week: Week, student: str, several: list[Found], source: Path, result: Collected
) -> None:
    """Keep everything one learner handed in; the newest counts."""
    path = layout.var / "receipts" / week.id / f"{student}.json"
    known = _read_receipts(path)
    right_name = f"{week.id}.ipynb"

    def rank(found: Found) -> tuple[bool, bool, float, str]:
        file = PurePosixPath(found.name.split(": ")[-1]).name
        return (not found.refused, file.endswith(right_name), found.claimed, found.name)

    several = sorted(several, key=rank)
    for position, found in enumerate(several):
        counts = position == len(several) - 1
        raw = found.raw if not found.refused else _placeholder(found)
        digest = hashlib.sha256(raw).hexdigest()
        receipt = Receipt(
            sha256=digest,
            size=len(raw),
            received=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            claimed=datetime.fromtimestamp(min(max(found.claimed, 0.0), 4e9), UTC).strftime(
                "%Y-%m-%d %H:%M:%S UTC"
            ),
            source=source.name,
            file=found.name,
            note=found.refused,
        )
        place = layout.submitted / student / week.id
        now = place / right_name
        if known and known[-1].sha256 == digest and now.is_file():
            result.taken.append(Taken(student, found.who, "unchanged", known[-1]))
            continue
        # The same file again, from a folder that was collected before something newer came.
        again = any((one.sha256, one.claimed) == (digest, receipt.claimed) for one in known)
        _write(layout.var / "history" / week.id / student / f"{digest[:16]}.ipynb", raw)
        if not counts or again:
            if not again:
                known.insert(max(len(known) - 1, 0), receipt)
                _write_receipts(path, known)
            result.taken.append(Taken(student, found.who, "older", receipt))
            continue
        what = "newer" if known else "new"
        known.append(receipt)
        # Everything is kept before anything counts: killed between two of these, collecting again completes
        # it.
        _write(now, raw)
        _write(place / "timestamp.txt", (receipt.received + "\n").encode())
        _write_receipts(path, known)
        result.taken.append(Taken(student, found.who, what, receipt))


def _placeholder(found: Found) -> bytes:
    """What stands for a submission that was not taken. It is no notebook, so it is graded as one that cannot
    be read.
    """
    return notebooks.REFUSED + found.refused.encode("utf-8", "replace") + b"\n"


def _read_receipts(path: Path) -> list[Receipt]:
    try:
        return [Receipt(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError):
        raise GradingError(f"{path} cannot be read as receipts; move it away, then collect again.") from None


def _write_receipts(path: Path, known: list[Receipt]) -> None:
    _write(path, json.dumps([asdict(one) for one in known], indent=1, ensure_ascii=False).encode() + b"\n")


def _write(path: Path, raw: bytes) -> None:
    """Whole or not at all, and readable by the owner alone: a submission is personal."""
    write_whole(path, raw, mode=0o600)


def _printable(name: str) -> str:
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "?", name.encode("utf-8", "replace").decode()
    )[:200]
