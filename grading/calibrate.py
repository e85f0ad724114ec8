"""Calibrate: do the checks catch what they should, and nothing else?

Everything runs in this process, over several seeds: the reference and every differently written right answer
must get full marks, an untouched gap none, and every misconception must fail at least the checks that it
names, lose marks, and be recognised as itself.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from grading import judge
from grading.errors import CourseBroken
from grading.records import ExerciseRecord
from grading.weeks import Answer, Exercise, Week

GAP = re.compile(r"^([ \t]*)### BEGIN SOLUTION$.*?^[ \t]*### END SOLUTION$", re.MULTILINE | re.DOTALL)


def calibrate(weeks: Sequence[Week], seeds: Sequence[int] = (1, 2)) -> dict[str, Any]:
    """Calibrate weeks, as `course calibrate --json` prints it.

    Args:
        seeds: of the hidden inputs; a check that fails for one seed fails.

    Returns:
        {"ok", "problems": sentences, "weeks": [{"week", "exercises": [...]}]}. A score is the worst over the
        seeds for what should be right, and the best for what should be wrong.
    """
    problems: list[str] = []
    found = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors of a few numbers; more threads only wait for each other
    try:
        for week in weeks:
            exercises = []
            for exercise in week.exercises:
                report, wrong = calibrate_exercise(week, exercise, seeds)
                exercises.append(report)
                problems += [f"{week.id}, {exercise.id}: {one}" for one in wrong]
            found.append({"week": week.id, "exercises": exercises})
    finally:
        torch.set_num_threads(threads)
    return {"ok": not problems, "problems": problems, "weeks": found}


def calibrate_exercise(
    week: Week, exercise: Exercise, seeds: Sequence[int]
) -> tuple[dict[str, Any], list[str]]:
    """One exercise's part of the report, and what is wrong with it in sentences."""
    problems: list[str] = []
    names = {check.name for check in exercise.checks}
    knowns = [judge.Known(exercise, seed) for seed in seeds]

    def full_marks(what: str, answer: Any) -> float:
        worst = exercise.points
        for seed, known in zip(seeds, knowns, strict=True):
            try:
                record = judge.judge(exercise, judge.here(answer, exercise), seed, known)
            except CourseBroken as problem:
                problems.append(str(problem))
                return 0.0
            worst = min(worst, record.score)
            for name, seen in _failed(record):
                problems.append(f"{what} fails {name} with seed {seed} ({seen}).")
        return worst

    reference_score = full_marks("the reference", exercise.reference)
    right = [
        {"name": one.name, "score": full_marks(f"the right answer {one.name}", one.found)}
        for one in exercise.right
    ]
    misconceptions = []
    # With a reference that fails there is nothing to compare with.
    for one in exercise.misconceptions if reference_score == exercise.points else ():
        report, wrong = _misconception(exercise, one, knowns, names)
        misconceptions.append(report)
        problems += wrong
    if reference_score == exercise.points:
        stub = judge.judge(exercise, judge.here(untouched(week, exercise), exercise), seeds[0])
        if stub.score or stub.outcome != "not written":
            passed = ", ".join(check.name for check in stub.checks if check.passed)
            problems.append(f"the untouched gap gets {stub.score:g} ({stub.outcome}; passed: {passed}).")
    return {
        "id": exercise.id,
        "points": exercise.points,
        "hidden_checks": [check.name for check in exercise.hidden_checks],
        "misconceptions": misconceptions,
        "right_variants": right,
        "reference_score": reference_score,
    }, problems


def _misconception(
    exercise: Exercise, one: Answer, knowns: Sequence[judge.Known], names: set[str]
) -> tuple[dict[str, Any], list[str]]:
    ask = judge.here(one.found, exercise)
    records = [judge.judge(exercise, ask, known.seed, known) for known in knowns]
    caught = set.intersection(*({name for name, _ in _failed(record)} for record in records))
    best = max(record.score for record in records)
    problems = []
    strangers = set(one.caught_by) - names
    missed = set(one.caught_by) - strangers - caught
    if strangers:
        problems.append(f"{one.name} names checks that do not exist: {', '.join(sorted(strangers))}.")
    if not one.caught_by or not one.tell:
        problems.append(f"{one.name} lacks its Tell or its Caught by.")
    if missed:
        problems.append(f"{one.name} passes {', '.join(sorted(missed))} with some seed.")
    if best >= exercise.points:
        problems.append(f"{one.name} loses no marks.")
    for known, record in zip(knowns, records, strict=True):
        if record.misconception != one.name:
            problems.append(f"{one.name} is taken for {record.misconception} with seed {known.seed}.")
    order = [check.name for check in exercise.checks if check.name in caught]
    return {"name": one.name, "caught_by": order, "score": best}, problems


def untouched(week: Week, exercise: Exercise) -> Any:
    """The exercise as a learner first finds it: the notebook's own cell, with its solution taken out.

    Raises:
        CourseBroken: the cell does not run, or does not define the subject.
    """
    cells = week.cells()
    source = next((c["source"] for c in cells if c["metadata"].get("exercise") == exercise.id), None)
    if source is None or not GAP.search(source):
        raise CourseBroken(f"the notebook of {week.id} has no cell for {exercise.id} with a marked solution.")
    names: dict[str, Any] = {}
    for statement in _imports(cells):
        try:
            exec(statement, names)
        except ImportError:
            continue  # course_lib.checks is there in an edition only; no gap needs it to be defined
    message = f"week {week.number}, exercise {exercise.id}"
    try:
        exec(GAP.sub(lambda gap: f'{gap.group(1)}raise NotImplementedError("{message}")', source), names)
    except Exception as problem:
        raise CourseBroken(
            f"the untouched cell of {exercise.id} in {week.id} does not run: "
            f"{type(problem).__name__}: {problem}"
        ) from problem
    if exercise.subject not in names:
        raise CourseBroken(f"the cell of {exercise.id} in {week.id} defines no {exercise.subject}.")
    return names[exercise.subject]


def _imports(cells: Sequence[Any]) -> Iterator[str]:
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        lines = [line for line in cell["source"].splitlines() if not line.lstrip().startswith(("%", "!"))]
        try:
            body = ast.parse("\n".join(lines)).body
        except SyntaxError:
            continue
        yield from (ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom)))


def _failed(record: ExerciseRecord) -> list[tuple[str, str]]:
    return [(check.name, check.seen) for check in record.checks if not check.passed]
