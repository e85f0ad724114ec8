"""Strangers' notebooks are read as plain data, or refused in one sentence; cells are found again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from grading import harmless, notebooks, release
from grading.demo import colab
from grading.errors import SubmissionError
from grading.weeks import Week, load_week
from tests.fixtures import course_tree

WEEK: Week = load_week(Path(course_tree.__file__).parent / "week90_blending")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "not JSON"),
        (b"[1, 2]", "has no cells"),
        (b'"text"', "has no cells"),
        (b"{}", "has no cells"),
        (b'{"nbformat": 3, "worksheets": []}', "nbformat 3"),
        (b'{"nbformat": 3, "cells": []}', "nbformat 3"),
        (b'{"nbformat": 5, "cells": []}', "nbformat 5"),
        (b'{"nbformat": 4, "cells": {}}', "not a list"),
        (b'{"nbformat": 4, "cells": [1]}', "not a list"),
        (b"\xff\xfe{}", "not text"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"cells": ' * 50_000, "nested too deeply"),
        (b"1" * 10_000, "not JSON"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_sentence(raw: bytes, says: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        notebooks.read(raw)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    with (tmp_path / "big.ipynb").open("wb") as file:
        file.truncate(200 << 20)
    expected = {
        "pipe.ipynb": "a pipe",
        "link.ipynb": "a link",
        "big.ipynb": "200 MB",
        "none.ipynb": "does not exist",
    }
    for name, says in {**expected, ".": "is a folder"}.items():
        with pytest.raises(SubmissionError, match=says):
            notebooks.read(tmp_path / name)


def test_odd_cells_become_plain_ones() -> None:
    cells: list[Any] = [
        {"cell_type": "code", "source": ["a = 1\n", 2, "b = 2"], "metadata": None, "outputs": "x"},
        {"cell_type": "heading", "source": {"no": "text"}},
        {},
        {"cell_type": "code", "source": "\ud800", "id": 7},
    ]
    raw = json.dumps({"nbformat": 4, "nbformat_minor": "x", "metadata": [], "cells": cells}).encode()
    found = notebooks.read(raw)
    assert [cell["source"] for cell in found["cells"]] == ["a = 1\nb = 2", "", "", "?"]
    assert [cell["cell_type"] for cell in found["cells"]] == ["code", "raw", "raw", "code"]
    assert all(isinstance(cell["metadata"], dict) for cell in found["cells"])
    notebooks.dumps(found).encode()


# -- finding the learner's cells again -----------------------------------------------------------------------

RELEASE = release.staged(WEEK)  # its cells' ids and names are the release's
MINE = "class Blend(nn.Module):\n    mine = True"


def submitted() -> dict[str, Any]:
    return release.solved(WEEK, {"blend": MINE})


def source(notebook: dict[str, Any]) -> str | None:
    aligned = notebooks.align(RELEASE, notebooks.read(json.dumps(notebook).encode()))
    return aligned.source_of("blend")


def test_a_cell_is_found_by_its_grade_id() -> None:
    assert source(submitted()) == MINE


def test_a_cell_is_found_when_all_metadata_and_ids_are_lost() -> None:
    notebook = submitted()
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    assert source(notebook) == MINE
    assert source(colab(submitted())) == MINE


def test_a_cell_is_found_wherever_it_was_moved() -> None:
    notebook = submitted()
    notebook["cells"].reverse()
    assert source(notebook) == MINE


def test_of_duplicates_the_last_that_defines_the_name_counts() -> None:
    notebook = submitted()
    (place,) = [n for n, cell in enumerate(notebook["cells"]) if cell["id"] == "blend"]
    notebook["cells"].insert(place + 1, {**notebook["cells"][place], "source": MINE + "\n    second = True"})
    notebook["cells"].insert(place + 2, {**notebook["cells"][place], "source": "# an empty copy"})
    assert source(notebook) == MINE + "\n    second = True"


def test_a_deleted_cell_is_missing_and_a_new_one_with_its_name_is_found() -> None:
    notebook = submitted()
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "blend"]
    assert source(notebook) is None
    notebook["cells"].append({"cell_type": "code", "metadata": {}, "source": MINE, "outputs": []})
    assert source(notebook) == MINE


def test_whatever_a_learner_added_is_kept_in_its_place() -> None:
    notebook = submitted()
    notebook["cells"].insert(2, {"cell_type": "code", "metadata": {}, "source": "mine = 1", "outputs": []})
    aligned = notebooks.align(RELEASE, notebooks.read(json.dumps(notebook).encode()))
    assert [(place, cell["source"]) for place, cell in aligned.extra] == [(1, "mine = 1")]


# -- harmless ------------------------------------------------------------------------------------------------

ALIVE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "[x](javascript:alert(1))",
    "[x](javascript&#58;alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<style>*{background:url(//evil)}</style>",
    "<div><!-- --><script>alert(1)</script>",
    "![x](data:text/html;base64,PHNjcmlwdD4=)",
    "```\n</code></pre>\n\n<script>alert(1)</script>\n```",
    r"$\href{javascript:alert(1)}{x}$",
    "<form action=//evil><input name=x>",
    "<meta http-equiv=refresh content='0;url=//evil'>",
]


@pytest.mark.parametrize("stranger", ALIVE)
def test_markdown_has_nothing_alive_in_it_even_when_it_is_rendered_again(stranger: str) -> None:
    from nbconvert.filters.markdown import markdown2html

    once = harmless.markdown("# A note\n\n" + stranger)
    assert "\n" not in once
    for text in (once, str(markdown2html(once))):
        # Escaped text may say anything; what must not be there is a tag or an attribute that lives.
        tags = [tag.lower() for tag in __import__("re").findall(r"<[^>]*>", text)]
        assert not [
            tag
            for tag in tags
            if any(word in tag for word in ("script", "onerror", "onload", "src=", "style"))
        ]
        assert not [tag for tag in tags if tag.strip("</> ").split(" ")[0] not in harmless.TAGS]
        assert "\\href" not in text


def test_ordinary_markdown_keeps_its_form() -> None:
    text = harmless.markdown("## Title\n\n- one\n- **two**\n\n`a < b`\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    for piece in ("<h2>", "<li>one</li>", "<strong>two</strong>", "<code>a &lt; b</code>", "<td>1</td>"):
        assert piece in text


@pytest.mark.parametrize(
    "stranger",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07red",
        "re\x00d",
        "r\u202eed",
        "\x9b31mred",
        "red\x1b]8;;http://x\x1b\\",
    ],
)
def test_text_has_no_escapes_left(stranger: str) -> None:
    assert harmless.text(stranger) == "red"
