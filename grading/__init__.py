"""The grading machine. Knows no week by name; one module per arrow of the flow.

import grading
verdict = grading.evaluate("submission.ipynb", "week02_bridge_patterns")
print(verdict.score, "of", verdict.max)
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grading.records import Verdict
    from grading.weeks import Week

# nbformat validates with jsonschema, which would spend one to four seconds on the grammar of international
# web addresses. No notebook's schema asks for one, and jsonschema does without where the package is missing.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def evaluate(
    notebook: "str | Path | bytes",
    week: "Week | str | Path",
    *,
    edition: Path | None = None,
    seed: int | None = None,
    sandbox: str = "best",
) -> "Verdict":
    """Run one submission in a sandbox and judge it. No class, no gradebook, no server is needed.

    Args:
        notebook: the path of an .ipynb file, or its bytes.
        week: its id or number ("week02_bridge_patterns", "02"), its folder, or a Week.
        edition: a folder with the learner's course_lib; made from the course's own when None.
        seed: of the hidden inputs; fresh when None. The verdict records it; the same seed gives the same one.
        sandbox: "best", or one of `records.RUNGS`; "none" is for a notebook you trust as you trust your own.

    Raises:
        SubmissionError: it is not a notebook.
        UsageError: there is no such week.
        SandboxError: there is no sandbox, or it does not hold on this machine.
        CourseBroken: the week is at fault.
    """
    # Imported on use: torch and papermill take seconds, and `import grading` should not.
    import secrets

    from grading import editions, evaluation, layout, weeks

    if not isinstance(week, weeks.Week):
        is_folder = isinstance(week, Path) or "/" in str(week)
        week = weeks.load_week(Path(week)) if is_folder else weeks.find_week(layout.find(), str(week))
    raw = notebook if isinstance(notebook, bytes) else evaluation.read(Path(notebook), week.limits)
    return evaluation.evaluate(
        raw,
        week,
        edition or editions.ensure(layout.find(), week),
        seed=secrets.randbits(53) if seed is None else seed,
        sandbox=sandbox,
    )
