"""docs/security.md names a test beside every promise: each is there, and each table row names one."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def known() -> set[str]:
    """The names of all tests."""
    return {
        node.name
        for path in ROOT.glob("tests/**/test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named - known() == set()


def test_every_promise_has_a_test_beside_it() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("|---")]
    promises = [row for row in rows if not re.match(r"\| (promise|layer) \|", row)]
    assert len(promises) > 12
    assert [row for row in promises if "`test_" not in row.split("|")[-2]] == []
