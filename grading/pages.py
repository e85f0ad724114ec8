"""Fills the page templates: everything is escaped, nothing runs, nothing loads from anywhere."""

import base64
import functools
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from grading import harmless
from grading.store import write_whole
from grading.weeks import Week

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Fill one of the templates. The style's hash is the only thing that the page's policy allows."""
    environment, style = _ready()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    # Both texts are ours, and hold nothing that would end the attribute or the element they stand in.
    return environment.get_template(template).render(
        **values, style=Markup(style), policy=Markup(policy), points=points, prose=prose
    )


def write(place: Path, text: str) -> Path:
    """Write a page, whole or not at all."""
    write_whole(place, text.encode(), sync=False)
    return place


def points(value: float) -> str:
    """2, 2.5, 17.25: no zeros that say nothing."""
    return f"{round(value, 2):g}"


def prose(sentence: str) -> Markup:
    """An authored sentence: escaped, with `names` in code."""
    safe = str(escape(harmless.text(sentence, 2000)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", safe))


def titles(week: Week) -> dict[str, str]:
    """What the notebook calls each exercise: the nearest heading above its cell; its id if there is none."""
    found: dict[str, str] = {}
    heading = ""
    for cell in week.cells():
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+\s+(.+?)\s*$", cell["source"], re.MULTILINE)
            heading = headings[-1] if headings else heading
        name = cell["metadata"].get("exercise")
        if name is not None:
            plain = re.sub(r"^(?:Exercise\s+)?\d+\s*[·.:]?\s*", "", heading).replace("`", "")
            found[str(name)] = plain or str(name)
            heading = ""
    return found


@functools.cache
def _ready() -> tuple[Environment, str]:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment, (TEMPLATES / "page.css").read_text(encoding="utf-8")
