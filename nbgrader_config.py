"""Where nbgrader finds this course, and who judges for it. Read by every nbgrader command, and by formgrader
in JupyterLab.

The life-cycle stays nbgrader's own, its gradebook and its pages too. Three of its steps are ours: `Repair`
lays a submission beside the release, `Judge` writes the marks that were given outside the sandbox where
nbgrader would execute the notebook with the answers in it, and `Verify` reads back what was recorded.
"""

from pathlib import Path

from grading.gradebook import COURSE_ID, programs_on_path
from grading.layout import Layout
from grading.record import AUTOGRADE, SANITIZE, Reader

layout = Layout(Path(__file__).resolve().parent)
# nbgrader calls alembic by name, also in a JupyterLab that was started without its environment.
programs_on_path()
c = get_config()  # type: ignore[name-defined]  # noqa: F821  nbgrader puts it there

c.CourseDirectory.root = str(layout.root)
c.CourseDirectory.course_id = COURSE_ID
c.CourseDirectory.source_directory = str(layout.source)
c.CourseDirectory.release_directory = str(layout.notebooks)
c.CourseDirectory.submitted_directory = str(layout.submitted)
c.CourseDirectory.autograded_directory = str(layout.autograded)
c.CourseDirectory.feedback_directory = str(layout.feedback)
c.CourseDirectory.db_url = layout.gradebook_url  # another database, such as PostgreSQL, goes here
c.Exchange.root = str(
    layout.var / "exchange"
)  # on a shared machine: a folder that every learner can write to

# A cell that a learner deleted comes back without an answer, so that it can be marked.
c.OverwriteCells.add_missing_cells = True
c.Autograde.exporter_class = Reader
c.Autograde.sanitize_preprocessors = list(SANITIZE)
c.Autograde.autograde_preprocessors = list(AUTOGRADE)
