"""Where everything is. No other module of grading spells a path inside the course.

solutions/  authored weeks        build/   rebuildable: staging, editions, feedback, reports
notebooks/  generated releases    var/     NOT rebuildable: inbox, submissions, gradebook, verdicts
"""

import os
from dataclasses import dataclass
from pathlib import Path

from grading.errors import UsageError

ROOT_VARIABLE = "COURSE_ROOT"


@dataclass(frozen=True)
class Layout:
    """Paths of one course.

    Args:
        root: the repository's folder.
        scratch: where build/ and var/ live; the repository itself unless told otherwise (demo, tests, and a
            read-only checkout put them elsewhere).
        home_of_releases: where released notebooks are written; notebooks/ of the repository unless told
            otherwise.
    """

    root: Path
    scratch: Path | None = None
    home_of_releases: Path | None = None

    @property
    def solutions(self) -> Path:
        return self.root / "solutions"

    @property
    def course_lib(self) -> Path:
        return self.root / "course_lib"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def notebooks(self) -> Path:
        return self.home_of_releases or self.root / "notebooks"

    @property
    def build(self) -> Path:
        return (self.scratch or self.root) / "build"

    @property
    def var(self) -> Path:
        return (self.scratch or self.root) / "var"

    # build/: anything here can be thrown away

    @property
    def source(self) -> Path:
        """Staged, allow-listed notebooks with solutions: nbgrader's source_directory."""
        return self.build / "source"

    @property
    def editions(self) -> Path:
        """One installed edition of course_lib and one wheel for each week."""
        return self.build / "editions"

    @property
    def autograded(self) -> Path:
        return self.build / "autograded"

    @property
    def feedback(self) -> Path:
        return self.build / "feedback"

    @property
    def reports(self) -> Path:
        return self.build / "reports"

    @property
    def bench(self) -> Path:
        return self.build / "bench"

    # var/: cannot be rebuilt

    @property
    def inbox(self) -> Path:
        """Where an instructor drops what came from learners."""
        return self.var / "inbox"

    @property
    def submitted(self) -> Path:
        """Collected submissions, STUDENT/WEEK/WEEK.ipynb: nbgrader's submitted_directory."""
        return self.var / "submitted"

    @property
    def verdicts(self) -> Path:
        return self.var / "verdicts"

    @property
    def gradebook(self) -> Path:
        return self.var / "gradebook.db"

    @property
    def gradebook_url(self) -> str:
        return f"sqlite:///{self.gradebook}"

    @property
    def secret(self) -> Path:
        """The course's secret, from which the seeds of hidden inputs are derived."""
        return self.var / "secret"


def find(start: Path | None = None) -> Layout:
    """The course that `start`, or COURSE_ROOT, or this installation belongs to.

    Raises:
        UsageError: there is none; the message says where was looked.
    """
    named = os.environ.get(ROOT_VARIABLE)
    candidates = [Path(named)] if named else []
    here = (start or Path.cwd()).absolute()
    candidates += [here, *here.parents, Path(__file__).absolute().parent.parent]
    for folder in candidates:
        if (folder / "solutions").is_dir() and (folder / "course_lib").is_dir():
            return Layout(folder)
    raise UsageError(
        f"no course at {here} or above it: a course has solutions/ and course_lib/; "
        f"run this inside the repository, or set {ROOT_VARIABLE} to its folder."
    )
