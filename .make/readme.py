"""Write the generated part of README.md, the table of weeks. With --check, only say whether it is current."""

import sys
from pathlib import Path

from grading import weeks
from grading.layout import Layout

ROOT = Path(__file__).parent.parent
START = "<!-- weeks: written by .make/readme.py from solutions/*/week.toml -->\n"
END = "<!-- end of weeks -->\n"


def table() -> str:
    """One row a week, in order."""
    rows = ["| | week | after it you can | minutes | exercises | points |", "|---|---|---|---|---|---|"]
    for week in weeks.all_weeks(Layout(ROOT)):
        points = week.points
        link = f"[{week.title}](notebooks/{week.id}/{week.id}.ipynb)"
        goal = week.objectives[0].rstrip(";.") if week.objectives else ""
        sizes = f"{week.minutes} | {len(points)} | {sum(points.values()):g}"
        rows.append(f"| {week.number} | {link} | {goal} | {sizes} |")
    return "\n".join(rows) + "\n"


def filled(text: str) -> str:
    """The page with its table as the weeks are now."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + "\n" + table() + "\n" + END + after


def main() -> int:
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    new = filled(text)
    if "--check" in sys.argv:
        return 0 if text == new else 1
    page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
