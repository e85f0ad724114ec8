"""What a submission may use: each limit's default, what it may be set to, and the sentence that names it.

A week states limits in `[limits]` of its week.toml. They are enforced from outside of the learner's process,
or by the kernel, with what was set before any of the learner's code ran. Whoever runs over one is told which
it was, and how much it allows: every sentence of that kind is made here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from grading.errors import CourseBroken

CORES = 4


@dataclass(frozen=True)
class Limits:
    """What a submission may use, from `[limits]` in week.toml. `RULES` says what each one means.

    Processor time is that of all processes of a submission together. None is `CORES` times the wall clock:
    one process, or an honest pool of four, meets the wall clock first on any machine, however slow, and a
    week that allows more seconds allows more of both. What it stops is dozens of processes at once.
    """

    cell_s: float = 20.0
    question_s: float = 10.0
    submission_s: float = 120.0
    cell_cpu_s: float | None = None
    question_cpu_s: float | None = None
    submission_cpu_s: float | None = None
    memory_mb: int = 3000
    processes: int = 64
    open_files: int = 256
    file_mb: int = 64
    scratch_mb: int = 256
    cell_output_kb: int = 20_000
    submission_output_kb: int = 100_000
    notebook_mb: int = 20

    def amount(self, name: str) -> float:
        """How much a limit allows, its default worked out."""
        given = getattr(self, name)
        return float(CORES * getattr(self, name.replace("_cpu", "")) if given is None else given)

    def over(self, limit: str) -> str:
        """What whoever ran over a limit did, without a subject: "ran longer than 20 seconds, the most ...".

        Args:
            limit: a name, or two joined by " or " where it cannot be told which of them it was.
        """
        return " or ".join(RULES[name].over.format(self.in_words(name)) for name in limit.split(" or "))

    def used_up(self, limit: str) -> str:
        """The submission's whole, which others used before: "the submission's 120 seconds"."""
        return f"the submission's {self.in_words(limit)}" + " of output" * ("output" in limit)

    def in_words(self, name: str) -> str:
        """An amount with its unit, as sentences have it."""
        amount = self.amount(name)
        number = f"{int(amount)}" if amount == int(amount) else f"{amount:g}"
        one, many = RULES[name].unit
        return f"{number} {one if amount == 1 else many}"


@dataclass(frozen=True)
class Rule:
    """What one limit means.

    Args:
        unit: its unit for one, and for several.
        over: the sentence without its subject; {} is the amount.
        happens: what happens to whoever runs over it, for the authors.
        least: the least that a week may set; a kernel starts and imports torch with it. None: more than 0.
        whole: a whole number is asked for.
        within: a limit that this one may not be above.
    """

    unit: tuple[str, str]
    over: str
    happens: str
    least: int | None = None
    whole: bool = False
    within: str | None = None


SECONDS, CPU = ("second", "seconds"), ("second of processor time", "seconds of processor time")
KB, MB = ("kB", "kB"), ("MB", "MB")
STOPPED = (
    "the cell is interrupted; where that does not help, its kernel is ended and the notebook run without it"
)
RAISED = "Python raises in the learner's code, and the cell or the check ends there"

RULES: dict[str, Rule] = {
    "cell_s": Rule(
        SECONDS, "ran longer than {}, the most that a cell may take", STOPPED, within="submission_s"
    ),
    "cell_cpu_s": Rule(
        CPU, "used more than {}, the most that a cell may use", STOPPED, within="submission_cpu_s"
    ),
    "cell_output_kb": Rule(
        KB,
        "printed more than {}, the most that a cell may print",
        f"{STOPPED}; a cell that had ended by then counts",
        whole=True,
        within="submission_output_kb",
    ),
    "question_s": Rule(
        SECONDS,
        "gave no answer within {}, the most that a question may take",
        "the exercise ends there, too slow; the next one gets a fresh kernel",
        within="submission_s",
    ),
    "question_cpu_s": Rule(
        CPU,
        "used more than {}, the most that a question may use",
        "the exercise ends there, too slow; the next one gets a fresh kernel",
        within="submission_cpu_s",
    ),
    "submission_s": Rule(
        SECONDS,
        "was running when the cells had used most of the submission's {}",
        "at 0.7 of it only cells that import and define are still run; at its end nothing is asked any more",
    ),
    "submission_cpu_s": Rule(
        CPU,
        "was running when the cells had used most of the submission's {}",
        "at 0.7 of it only cells that import and define are still run; at its end nothing is asked any more",
    ),
    "submission_output_kb": Rule(
        KB,
        "was printing when the cells had used the submission's {} of output",
        "only cells that import and define are still run",
        whole=True,
    ),
    "memory_mb": Rule(
        MB,
        "used more than {} of memory, the most that grading allows",
        "one process is refused more, all together are ended; the notebook is run without the cell",
        least=600,
        whole=True,
    ),
    "processes": Rule(
        ("process or thread", "processes and threads"),
        "started more than {} at once, the most that grading allows",
        RAISED,
        least=24,
        whole=True,
    ),
    "open_files": Rule(
        ("file", "files"),
        "opened more than {} at once, the most that grading allows",
        RAISED,
        least=96,
        whole=True,
    ),
    "file_mb": Rule(
        MB,
        "wrote a file of more than {}, the most that grading allows",
        f"{RAISED}; a program that does not ignore SIGXFSZ is ended by it",
        least=1,
        whole=True,
        within="scratch_mb",
    ),
    "scratch_mb": Rule(
        MB,
        "filled a folder in memory: /tmp, the home folder and /dev/shm have {} each",
        RAISED,
        least=1,
        whole=True,
    ),
    "notebook_mb": Rule(
        MB,
        "a notebook may have at most {}",
        "the file is not read; no exercise is run",
        least=1,
        whole=True,
    ),
}

# Weeks that were written earlier state it. It was read and held nobody to anything; it must not begin to.
RETIRED = ("output_kb",)

# An exception's text is a stranger's. All that it can do is to choose one of our sentences.
_REFUSED = (
    ("memory_mb", re.compile(r"can't allocate memory|\[Errno 12\]")),
    ("open_files", re.compile(r"\[Errno 24\]|Too many open files")),
    ("file_mb", re.compile(r"\[Errno 27\]|File too large|Signals\.SIGXFSZ")),
    ("scratch_mb", re.compile(r"\[Errno 28\]|No space left on device")),
    ("processes", re.compile(r"can't start new thread")),
    # numpy and torch say how far they came, and not why.
    ("file_mb or scratch_mb", re.compile(r"^\d+ requested and \d+ written|inline_container\.cc")),
)


def refused(kind: str, message: str, crowded: bool) -> str:
    """Which limit an exception tells of; "" if none. Names are joined by " or " where it may be either.

    Args:
        crowded: many processes were seen from outside, or one was about to be started. A socket that does not
            wait raises the same error; this tells them apart.
    """
    if kind == "MemoryError":
        return "memory_mb"
    if kind == "BlockingIOError":
        return "processes" if crowded and "[Errno 11]" in message else ""
    return next((name for name, pattern in _REFUSED if pattern.search(message)), "")


def read(week: str, table: Mapping[str, object]) -> Limits:
    """The limits that a week's `[limits]` states, with the defaults of all others.

    Raises:
        CourseBroken: a name is unknown, a value is no number, too small, or above what it is a part of.
    """
    where = f"[limits] of {week}/week.toml"
    known = [field.name for field in fields(Limits)]
    strange = sorted(set(table) - {*known, *RETIRED})
    if strange:
        raise CourseBroken(f"{where} has unknown names {strange}; known: {', '.join(known)}.")
    given = {name: value for name, value in table.items() if name not in RETIRED}
    for name, value in given.items():
        rule = RULES[name]
        kind = "a whole number" if rule.whole else "a number"
        allowed = f"{kind} above 0" if rule.least is None else f"{kind} of at least {rule.least}"
        fits = isinstance(value, int if rule.whole else (int, float)) and not isinstance(value, bool)
        # An infinite or undefined number is none that could be reached.
        if not fits or not (0 < float(value) < float("inf")) or float(value) < (rule.least or 0):  # type: ignore[arg-type]
            raise CourseBroken(f"{where} has {name} = {value!r}; set it to {allowed}.")
    limits = Limits(**given)  # type: ignore[arg-type]
    for name in known:
        whole = RULES[name].within
        if whole is not None and limits.amount(name) > limits.amount(whole):
            raise CourseBroken(
                f"{where} has {name} = {limits.amount(name):g}, which is above {whole} = "
                f"{limits.amount(whole):g}, the whole that it is a part of; lower {name}, or raise {whole}."
            )
    return limits


def table() -> str:
    """All limits for the authors' documentation, as a table in Markdown."""
    lines = ["| in `[limits]` | default | who runs over it | reads |", "|---|---|---|---|"]
    plain = Limits()
    for name, rule in RULES.items():
        default = plain.in_words(name)
        if getattr(plain, name) is None:
            default += f" ({CORES} times `{name.replace('_cpu', '')}`)"
        lines.append(f"| `{name}` | {default} | {rule.happens} | … {plain.over(name)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")  # for docs/limits.md
