"""`course`: everything an instructor does, as commands.

Every command ends with a sentence and an exit code: 0 done, 1 marks are missing or a check failed, 2 wrong
usage, 3 the course itself is broken. A mistake that can be foreseen ends without a traceback.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from grading import layout as layouts
from grading import trouble
from grading.errors import GradingError, UsageError
from grading.layout import Layout
from grading.records import Verdict

# Everything else is imported where it is used: `course --help` must not wait for torch or nbgrader.
if TYPE_CHECKING:
    from grading.weeks import Week

app = typer.Typer(
    name="course",
    help=__doc__.split("\n")[0].replace("`", ""),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# A pipe or a file has no width of its own; a narrow one would only break lines.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else 140)
ROWS = 60
WORKERS = min(os.cpu_count() or 1, 8)

WeekName = Annotated[str, typer.Option("--week", "-w", help="A week: 02, week02, its folder's name, or all.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Submissions run at once.")]
Rung = Annotated[
    str,
    typer.Option(
        help="best (bubblewrap, or landlock where there are no namespaces), one of these two, "
        "bubblewrap-only, or none: strangers' code then runs unprotected."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


class _State:
    """What the options before the command said."""

    scratch: Path | None = None


@app.callback()
def _before(
    scratch: Annotated[
        Path | None,
        typer.Option(
            envvar="COURSE_SCRATCH", help="Keep build/, var/ and notebooks/ in this folder instead."
        ),
    ] = None,
) -> None:
    _State.scratch = scratch.absolute() if scratch is not None else None


@app.command()
def doctor() -> None:
    """Can this machine teach, release and grade?"""
    from grading import doctor as looks

    bad = []
    for one in looks.examine(_layout()):
        mark = "[green]\\[ok][/]  " if one.ok else "[red]\\[fail][/]"
        advice = f": {one.advice}" if not one.ok and one.advice else ""
        out.print(f"{mark} {escape(one.what)}{escape(advice)}")
        if not one.ok:
            bad.append(one)
    if bad:
        _end(
            f"{len(bad)} to put right before this machine can {bad[0].needed_for}.",
            3,
        )
    out.print("This machine can teach, release and grade.")


@app.command()
def edition(
    week: WeekName,
    kernel: Annotated[
        bool, typer.Option("--kernel", help="Print a Jupyter data folder whose kernels import it.")
    ] = False,
    wheel: Annotated[
        bool, typer.Option("--wheel", help="Print the wheel that learners install on Colab.")
    ] = False,
) -> None:
    """Build course_lib as learners of a week get it; print where it is."""
    from grading import editions

    layout = _layout()
    (one,) = _weeks(layout, week, most=1)
    build = editions.kernel if kernel else editions.wheel if wheel else editions.ensure
    print(build(layout, one))


@app.command()
def release(week: WeekName = "all") -> None:
    """Write notebooks/ from solutions/, without answers, and one wheel for learners."""
    from grading import release as releases

    layout = _layout()
    for one in _weeks(layout, week):
        with _waiting(f"releasing {one.id}"):
            done = releases.release(layout, one)
        state = "written" if done.changed else "as it was"
        out.print(
            f"{one.id}: {state}, {done.exercises} exercises, {done.points:g} points\n"
            f"  notebook  {_short(done.notebook)}\n  wheel     {_short(done.wheel)}"
        )


@app.command()
def collect(
    source: Annotated[Path, typer.Argument(help="A folder of notebooks, or an LMS's archive.")] = Path(
        "var/inbox"
    ),
    week: WeekName = "all",
    pattern: Annotated[
        str | None, typer.Option(help="A regular expression with (?P<student_id>…) and (?P<file_id>…).")
    ] = None,
) -> None:
    """Take submissions in, from a folder or from an LMS's archives."""
    from grading import flow

    layout = _layout()
    (one,) = _weeks(layout, week, most=1)
    flow.writable(layout)
    _collect(layout, one, source, pattern)


@app.command()
def grade(
    source: Annotated[Path | None, typer.Argument(help="Collect from here first.")] = None,
    week: WeekName = "all",
    workers: Workers = WORKERS,
    sandbox: Rung = "best",
    again: Annotated[bool, typer.Option("--again", help="Judge anew what has a verdict already.")] = False,
) -> None:
    """Run and judge every submission taken in, record the marks, write the feedback."""
    from grading import flow

    layout = _layout()
    weeks = _weeks(layout, week, most=1 if source is not None else None)
    flow.writable(layout)
    if source is not None:
        _collect(layout, weeks[0], source, None)
    with_work = [one for one in weeks if flow.submissions(layout, one)] or weeks[:1]
    _banner(sandbox)
    missing = 0
    for one in with_work:
        with _bars() as progress, _polite_stop():
            graded = flow.grade(
                layout, one, workers=workers, sandbox=sandbox, again=again, progress=progress, say=_say
            )
        _graded_table(one, graded)
        lost = [row for row in graded if row.problem]
        missing += len(lost)
        for row in lost:
            err.print(f"[red]not graded[/] {escape(row.student)}: {escape(row.problem)}")
        out.print(
            f"{len(graded) - len(lost)} of {len(graded)} recorded. Pages: {_short(layout.feedback)}, "
            f"gradebook: {_short(layout.gradebook)}"
        )
    if missing:
        _end(
            f"{missing} without a mark, for no fault of a learner's; see {_short(layout.var / 'review')}.",
            1,
        )


@app.command()
def evaluate(
    notebook: Annotated[Path, typer.Argument(help="One submission.")],
    week: WeekName,
    as_json: AsJson = False,
    sandbox: Rung = "best",
) -> None:
    """Run and judge one notebook; nothing is recorded."""
    from grading import editions, evaluation
    from grading import sandbox as sandboxes
    from grading.store import load_secret

    layout = _layout()
    (one,) = _weeks(layout, week, most=1)
    raw = evaluation.read(notebook, one.limits)
    rung = sandboxes.check(sandbox)
    weaker = sandboxes.why_weaker(sandbox, rung)
    if not as_json:
        _banner(sandbox)
        if weaker:
            _say(weaker)
    with contextlib.ExitStack() as stack:
        try:
            layout.build.mkdir(parents=True, exist_ok=True)
            layout.var.mkdir(parents=True, exist_ok=True)
            kept = os.access(layout.build, os.W_OK) and os.access(layout.var, os.W_OK)
        except OSError:
            kept = False
        if not kept:  # a read-only checkout can judge one notebook, and leaves nothing
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="course-"))
            Path(place).chmod(0o755)
            layout = Layout(layout.root, Path(place))
        with _waiting(f"judging {notebook.name}"), _polite_stop():
            verdict = evaluation.evaluate(
                raw,
                one,
                editions.ensure(layout, one),
                seed=evaluation.seed_for(
                    load_secret(layout.secret), evaluation.submission_hash(raw), one.suite
                ),
                sandbox=rung,
            )
    if as_json:
        print(verdict.to_json(), end="")
    else:
        _verdict_table(one, verdict)
    if verdict.score < verdict.max:
        raise typer.Exit(1)


@app.command()
def calibrate(week: WeekName = "all", as_json: AsJson = False) -> None:
    """Do the hidden checks catch what they should, and accept what is right?"""
    from grading.calibrate import calibrate as measure

    layout = _layout()
    weeks = _weeks(layout, week)
    with _waiting("calibrating " + ", ".join(one.id for one in weeks)):
        found = measure(weeks)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _calibration_table(found)
    if not found["ok"]:
        if not as_json:
            for problem in found.get("problems", []):
                err.print(f"[red]-[/] {escape(str(problem))}")
        _end("the course is not calibrated: a check lets something wrong pass, or fails something right.", 3)
    if not as_json:
        out.print("Calibrated: every misconception is caught, every right variant is accepted.")


@app.command()
def report(week: WeekName = "all") -> None:
    """What the class understood, and what it mixed up."""
    from grading import flow
    from grading import report as reports

    layout = _layout()
    flow.writable(layout)
    shown = 0
    weeks = _weeks(layout, week)
    for one in weeks:
        verdicts = flow.verdicts(layout, one)
        if verdicts:
            summary = reports.summarise(one, verdicts)
            _report_table(one, summary)
            out.print(f"The page: {_short(reports.write(layout, one, summary))}")
            shown += 1
    if not shown:
        raise UsageError(f"nothing is graded yet in {_ids(weeks)}; run `course grade` first.")


@app.command()
def feedback(week: WeekName = "all") -> None:
    """Write one page a learner from the verdicts there are."""
    from grading import flow

    layout = _layout()
    flow.writable(layout)
    weeks = _weeks(layout, week)
    count = 0
    for one in weeks:
        verdicts = flow.verdicts(layout, one)
        with _bars() as progress:
            count += len(flow.answer(layout, one, verdicts, progress)) if verdicts else 0
        waiting = len(flow.submissions(layout, one)) - len(verdicts)
        if waiting and verdicts:
            err.print(
                f"{one.id}: {waiting} submissions have no verdict of today's checks; run `course grade`."
            )
    if not count:
        raise UsageError(f"nothing is graded yet in {_ids(weeks)}; run `course grade` first.")
    out.print(f"{count} pages in {_short(layout.feedback)}")


@app.command()
def export(
    week: WeekName = "all",
    form: Annotated[str, typer.Option("--format", help="csv, or moodle.")] = "csv",
    to: Annotated[Path | None, typer.Option(help="A file; build/reports/ unless given.")] = None,
) -> None:
    """Marks from the gradebook, as CSV or for an LMS."""
    from grading import export as exports
    from grading import gradebook

    layout = _layout()
    weeks = _weeks(layout, week, most=1 if to is not None else None)
    if week == "all":
        weeks = [one for one in weeks if gradebook.held(layout, one)] or weeks[:1]
    for one in weeks:
        place, count = exports.export(layout, one, form, to)
        out.print(f"{one.id}: {count} learners in {_short(place)}")


@app.command()
def kernel(
    week: WeekName,
    sandbox: Rung = "best",
    prefix: Annotated[Path | None, typer.Option(help="An environment's folder; this one's own.")] = None,
) -> None:
    """Give a week's boxed kernel a name that papermill, nbclient and nbgrader can start it by."""
    from grading import editions, kernel_spec

    layout = _layout()
    (one,) = _weeks(layout, week, most=1)
    if not kernel_spec.is_registered():
        _end("this project is not installed in its environment; run `make setup` first.", 2)
    _banner(sandbox)
    name = kernel_spec.install(one, editions.ensure(layout, one), prefix, sandbox)
    out.print(f"{name}: papermill in.ipynb out.ipynb -k {name}")


@app.command()
def demo(
    workers: Workers = 2,
    sandbox: Rung = "best",
    week: WeekName = "02",
) -> None:
    """A whole class, from release to feedback pages, in about three minutes."""
    from grading import demo as demos

    layout = _layout()
    (one,) = _weeks(layout, week, most=1)
    _banner(sandbox)
    with _polite_stop():
        wrong = demos.run(layout, one, workers=workers, sandbox=sandbox, console=out, bars=_bars)
    if wrong:
        _end(f"{len(wrong)} submissions did not get what was expected: {', '.join(wrong)}.", 1)


@app.command()
def bench(
    submissions: Annotated[
        int, typer.Option(min=2, max=500, help="Submissions a round, by our grading and by nbgrader's.")
    ] = 24,
    only: Annotated[str, typer.Option(help="grading, bridges, modules, bakeoff, or all.")] = "all",
    week: WeekName = "02",
    device: Annotated[
        str, typer.Option(help="Where the modules are measured: cpu, or a torch device such as cuda.")
    ] = "cpu",
    class_size: Annotated[
        int,
        typer.Option(
            "--class", min=0, help="Submissions over which memory is watched, such as 1000; 0 leaves it out."
        ),
    ] = 150,
) -> None:
    """Tables: our grading beside nbgrader's and otter's, our modules beside Idefics', bridges, fusions."""
    if only not in ("grading", "bridges", "modules", "bakeoff", "all"):
        raise UsageError(f"--only {only} means nothing; it is grading, bridges, modules, bakeoff, or all.")
    layout = _layout()
    (one,) = _weeks(layout, week, most=1)
    if only in ("grading", "all"):
        from grading import bench as benches

        if 0 < class_size < benches.CLASS_LEAST:
            raise UsageError(
                f"--class {class_size} is too small to see memory grow; it is 0, which leaves that out, or "
                f"{benches.CLASS_LEAST} and more, such as 1000."
            )
        benches.run(layout, one, submissions, out, _bars, _say, class_size)
    if only in ("modules", "all"):
        from grading import bench_modules

        bench_modules.run(layout, out, device)
    if only in ("bridges", "all"):
        from grading import bench_bridges

        bench_bridges.speed(layout, out)
        bench_bridges.run(layout, out)
    if only in ("bakeoff", "all"):
        from grading import bench_bakeoff

        bench_bakeoff.run(layout, out)


# -- help for the commands -------------------------------------------------------------------------------


def main() -> None:
    """The program: every ending is a sentence and an exit code."""
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        app()
    except GradingError as problem:
        _end(str(problem), problem.exit_code, leave=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as problem:
        found = trouble.of(problem)
        if found is not None:
            _end(str(found), found.exit_code, leave=True)
        _unforeseen(problem)


def _unforeseen(problem: Exception) -> None:
    """An error of course_lib's own is a sentence; whoever repairs anything else needs the traceback."""
    from course_lib.errors import CourseError

    if isinstance(problem, CourseError):
        _end(str(problem), 3, leave=True)
    traceback.print_exception(problem)
    _end(
        f"that is a fault of the course, not yours ({type(problem).__name__}); please report it.",
        3,
        leave=True,
    )


def _as_interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _end(sentence: str, code: int, leave: bool = False) -> None:
    err.print(f"course: {escape(sentence)}")
    if leave:
        sys.exit(code)
    raise typer.Exit(code)


def _layout() -> Layout:
    found = layouts.find()
    if _State.scratch is None:
        return found
    return Layout(found.root, _State.scratch, _State.scratch / "notebooks")


def _weeks(layout: Layout, name: str, most: int | None = None) -> "list[Week]":
    """The weeks an option names.

    Raises:
        UsageError: there is none by that name, or more than the command can take.
    """
    from grading.weeks import all_weeks, find_week

    if name.strip() == "all":
        found = all_weeks(layout)
        if not found:
            raise UsageError(f"{layout.solutions} holds no week; a week is a folder with a week.toml.")
    else:
        found = [find_week(layout, name)]
    if most is not None and len(found) > most:
        raise UsageError(f"name one week with --week: {_ids(found)}.")
    return found


def _ids(weeks: "Sequence[Week]") -> str:
    return ", ".join(week.id for week in weeks)


def _collect(layout: Layout, week: "Week", source: Path, pattern: str | None) -> None:
    from grading import collect as collects

    with _waiting(f"collecting {source}"):
        done = collects.collect(layout, week, source, pattern, _say)
    for line in done.left:
        err.print(escape(line))
    for one in done.taken:
        if one.receipt.note and one.what != "unchanged":
            err.print(
                f"[yellow]{one.student}[/] {escape(one.receipt.note)} It counts as handed in, without marks."
            )
        elif one.student != one.who and one.what == "new":
            err.print(f"{escape(one.who)} is called {one.student} here")
    kinds = {
        what: sum(one.what == what for one in done.taken) for what in ("new", "newer", "unchanged", "older")
    }
    counted = ", ".join(f"{count} {what}" for what, count in kinds.items() if count)
    if not done.taken:
        raise UsageError(f"{source} holds no submission for {week.id}; nothing was taken in.")
    out.print(
        f"{len(done.students)} learners ({counted}); receipts in {_short(layout.var / 'receipts' / week.id)}"
    )


def _short(path: Path) -> str:
    """A path as one would type it from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _say(line: str) -> None:
    err.print(escape(line))


def _banner(sandbox: str) -> None:
    if sandbox == "none":
        err.print(
            "[bold red]WITHOUT A SANDBOX[/]: every submission can read and change what you can. "
            "Every verdict will say so."
        )
    if sandbox == "bubblewrap-only":
        err.print("[bold]without the sandbox's second lock[/]: every verdict will say so.")


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """Progress on a terminal as bars; elsewhere as a line every few seconds of change."""
    columns = (
        *(TextColumn("{task.description:>9}"), BarColumn(bar_width=36), MofNCompleteColumn()),
        TimeElapsedColumn(),
    )
    tasks: dict[str, Any] = {}
    with Bars(*columns, console=err, disable=not err.is_terminal) as bars:

        def show(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done, total=of)
            if not err.is_terminal and of and (done == of or done % max(of // 4, 1) == 0) and done:
                err.print(f"{what}: {done} of {of}")

        yield show


@contextlib.contextmanager
def _waiting(what: str) -> Iterator[None]:
    with err.status(escape(what)) if err.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _polite_stop() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _end("stopped; nothing is half-written: run the same command again, and it goes on.", 1)


def _graded_table(week: "Week", graded: Sequence[Any]) -> None:
    from grading.flow import why

    table = Table(box=None, pad_edge=False, title=f"{week.id}", title_justify="left", title_style="bold")
    for name, side in (("learner", "left"), ("points", "right"), ("s", "right"), ("why", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for row in graded[:ROWS]:
        mark = f"{row.verdict.score:g} / {row.verdict.max:g}" if row.verdict else "none"
        reason = why(row.verdict) if row.verdict and not row.problem else row.problem
        table.add_row(
            escape(row.student), mark, "kept" if row.stored else f"{row.seconds:.1f}", escape(reason)
        )
    out.print(table)
    if len(graded) > ROWS:
        out.print(f"… and {len(graded) - ROWS} more; `course export` has them all.")


def _verdict_table(week: "Week", verdict: Verdict) -> None:
    for one in verdict.exercises:
        colour = "green" if one.score == one.max else "yellow" if one.score else "red"
        out.print(f"[{colour}]{one.score:>5g} / {one.max:<3g}[/] {one.id}  [dim]{one.outcome}[/]")
        if one.tell:
            out.print(f"            {escape(one.tell)}")
        silent = one.outcome in ("not written", "missing")
        for check in [] if silent else one.checks:
            if not check.passed:
                out.print(f"            {escape(check.claim)}\n              seen: {escape(check.seen)}")
                out.print(f"              look: {escape(check.look)}")
    for note in verdict.notes:
        out.print(f"note: {escape(note)}")
    out.print(f"{verdict.score:g} of {verdict.max:g} points, {week.id}, sandbox: {verdict.sandbox}")


def _calibration_table(found: dict[str, Any]) -> None:
    for week in found["weeks"]:
        table = Table(box=None, pad_edge=False, title=week["week"], title_justify="left", title_style="bold")
        for name in (
            "exercise",
            "points",
            "hidden checks",
            "misconceptions",
            "lowest loss",
            "right variants",
        ):
            table.add_column(name, justify="left" if name == "exercise" else "right")
        for one in week["exercises"]:
            wrong = one["misconceptions"]
            caught = sum(bool(each["caught_by"]) for each in wrong)
            loss = min((one["points"] - each["score"] for each in wrong), default=0.0)
            full = sum(each["score"] == one["points"] for each in one["right_variants"])
            table.add_row(
                *(
                    one["id"],
                    f"{one['points']:g}",
                    str(len(one["hidden_checks"])),
                    f"{caught} of {len(wrong)} caught",
                ),
                *(f"{loss:g}", f"{full} of {len(one['right_variants'])} full"),
            )
        out.print(table)


def _report_table(week: "Week", summary: Any) -> None:
    out.print(
        f"[bold]{week.id}[/]: {summary.submissions} submissions, median {summary.median:g} "
        f"of {summary.max:g}, mean {summary.mean:.1f}, from {summary.lowest:g} to {summary.highest:g}"
    )
    for row in summary.histogram:
        out.print(f"  {row.label:>14}  {'█' * round(row.share * 30):30} {row.count}")
    table = Table(box=None, pad_edge=False)
    for name in ("exercise", "mean", "right", "partly", "mixed up most"):
        table.add_column(name, justify="right" if name in ("mean", "right", "partly") else "left")
    for one in summary.exercises:
        mixed = ", ".join(f"{wrong.title.rstrip('.')} ({wrong.count})" for wrong in one.misconceptions[:2])
        table.add_row(
            one.id, f"{one.mean:.2f} / {one.max:g}", str(one.right), str(one.partly), escape(mixed or "–")
        )
    out.print(table)
