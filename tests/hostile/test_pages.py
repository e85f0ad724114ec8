"""Everything that a stranger can write, on real pages, in a real browser: nothing runs, nothing is asked for.

Each payload is tried without any protection first, so that the detector is known to see it; then each layer
alone (text made harmless without a policy, the policy without that), then the pages as learners get them and
the notebooks as the formgrader shows them.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.filters.markdown import markdown2html
from nbgrader.api import Gradebook

from grading import collect, evaluation, feedback, harmless, notebooks, pages, record, release, report
from grading.errors import SubmissionError
from grading.layout import Layout
from grading.records import CheckRecord, ExerciseRecord, Verdict
from grading.weeks import Week
from tests.fixtures import course_tree
from tests.fixtures.browser import Browser, Seen, browser
from tests.hostile.payloads import Payload, outputs, payloads

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Course = tuple[Layout, Week]
CORPUS = payloads()
FIRST = 1000  # the first payload's number: four digits are told apart from every other number on a page
NUMBERED = dict(enumerate(CORPUS, FIRST))
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="[^"]*">')
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    layout, week = course_tree.make(tmp_path_factory.mktemp("pages") / "course")
    release.release(layout, week)
    release.register(layout, week)
    return layout, week


def told(seen: Seen) -> str:
    """What was alive, for a person."""
    kinds = [f"{n} {NUMBERED[n].kind}: {NUMBERED[n].numbered(n)!r}" for n in sorted(seen.alive & {*NUMBERED})]
    return "\n".join([*kinds, *sorted(seen.asked), *sorted(seen.opened)])


def judged(week: Week, text: str) -> Verdict:
    """A verdict in which everything that comes from a learner's process is this text."""
    exercises = [
        ExerciseRecord(
            id=one.id,
            score=0.0,
            max=one.points,
            outcome="not right",
            misconception=None,
            tell=None,
            checks=[
                CheckRecord(check.name, False, check.claim, text, "Is it?", check.public, check.weight)
                for check in one.checks[:2]
            ],
        )
        for one in week.exercises
    ]
    return Verdict(
        week.id, 0.0, 6.0, "bubblewrap", "0" * 64, "0" * 64, 1, exercises, [text, f"Cell 1 ({text})"]
    )


def answers(week: Week) -> dict[str, str]:
    """A feedback page for each payload, with it in every place that a learner's text can reach: name, time of
    receipt, notes, what a check saw, code. One exercise, so that a thousand pages do not take minutes.
    """
    found = {}
    for number, payload in NUMBERED.items():
        text = payload.numbered(number)
        verdict = judged(week, text)
        verdict = dataclasses.replace(verdict, exercises=verdict.exercises[:1])
        found[str(number)] = feedback.page(week, text, verdict, {verdict.exercises[0].id: text}, text)
    return found


def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes out what makes a stranger's text harmless: the templates' escaping, and `harmless`."""
    style = (pages.TEMPLATES / "page.css").read_text(encoding="utf-8")
    bare = Environment(
        loader=FileSystemLoader(pages.TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    monkeypatch.setattr(pages, "_ready", lambda: (bare, style))
    for name in ("text", "markdown", "html"):
        monkeypatch.setattr(harmless, name, lambda stranger, longest=0: stranger)
    monkeypatch.setattr(harmless, "quoted", lambda stranger, longest=0: stranger)
    monkeypatch.setattr(harmless, "block", lambda text: text)


def without_policy(found: dict[str, str]) -> dict[str, str]:
    assert all(len(POLICY.findall(text)) == 1 for text in found.values())
    return {name: POLICY.sub("", text) for name, text in found.items()}


# -- the pages that learners and instructors open ------------------------------------------------------------


def test_without_any_protection_the_payloads_fire(
    chrome: Browser, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: a detector that sees nothing would make every other test here pass."""
    unguarded(monkeypatch)
    seen = chrome.visit(without_policy(answers(course[1])))
    due = {n for n, one in NUMBERED.items() if not (one.dormant or one.markdown)}
    assert due - seen.alive == set(), [NUMBERED[n] for n in due - seen.alive]
    assert len(due) >= 130
    assert len({NUMBERED[n].kind for n in due}) >= 10
    assert seen.ran
    assert seen.asked
    assert seen.opened


def test_the_policy_alone_stops_every_script_and_every_load(
    chrome: Browser, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it cannot stop is a reader who is sent to another page; that is what the escaping is for."""
    unguarded(monkeypatch)
    seen = chrome.visit(answers(course[1]))
    assert seen.ran == set(), told(seen)
    assert {n for n in seen.alive if not NUMBERED[n].leaves} == set(), told(seen)
    due = {str(n) for n, one in NUMBERED.items() if not (one.dormant or one.markdown or one.leaves)}
    assert len(due & {*seen.blocked}) > 0.9 * len(due), due - {*seen.blocked}


def test_harmless_text_alone_stops_everything(chrome: Browser, course: Course) -> None:
    """Twenty payloads share a page, since none may do anything; each stands in every place but the name."""
    week, found = course[1], {}
    for start in range(FIRST, FIRST + len(CORPUS), 20):
        texts = [NUMBERED[n].numbered(n) for n in range(start, min(start + 20, FIRST + len(CORPUS)))]
        verdict = judged(week, "")
        exercises = [
            dataclasses.replace(one, checks=[dataclasses.replace(one.checks[0], seen=x) for x in texts])
            for one in verdict.exercises
        ]
        verdict = dataclasses.replace(verdict, exercises=exercises, notes=texts)
        code = {one.id: "\n".join(texts) for one in week.exercises}
        found[str(start)] = feedback.page(week, texts[0], verdict, code, texts[-1])
        assert all(found[str(start)].count(str(start + n)) >= 3 for n in range(len(texts)))
    seen = chrome.visit(without_policy(found))
    assert seen.nothing, told(seen)
    assert {*found} <= {*seen.texts}


def test_nothing_on_a_feedback_page_runs_loads_or_leads_away(chrome: Browser, course: Course) -> None:
    """Not even tried: with text that is only text, the policy has nothing to stop."""
    seen = chrome.visit(answers(course[1]))
    assert seen.nothing, told(seen)
    assert seen.blocked == {}
    texts = {name: text for name, text in seen.texts.items() if name in map(str, NUMBERED)}
    assert len(texts) == len(CORPUS), "pages that were not read may have gone elsewhere"
    assert {name: UNSEEN.findall(text) for name, text in texts.items() if UNSEEN.search(text)} == {}
    # Text is shown as it was written, and not left out.
    assert all(f"<script>fired({n})</script>" in texts[str(n)] for n in (FIRST,))


def test_what_really_came_from_a_learner_is_as_harmless(
    chrome: Browser, course: Course, tmp_path: Path
) -> None:
    """By the whole way: exceptions are raised and judged, a file's name is collected, a class is counted."""
    layout, week = course
    found, verdicts = {}, {}
    for number, payload in NUMBERED.items():
        if payload.kind not in ("script", "event handler") or payload.dormant or number % 4:
            continue
        text = NUMBERED[number].numbered(number)
        raising = f"raise type({text!r}, (Exception,), {{}})({text!r})"
        raw = course_tree.as_file(
            course_tree.submission(
                week,
                {
                    "blend": f"class Blend(nn.Module):\n    def __init__(self, d):\n        {raising}",
                    "masked_mean": f"def masked_mean(values, keep):\n    {raising}",
                },
            )
        )
        verdict = course_tree.verdict(week, raw)
        assert any(str(number) in check.seen for one in verdict.exercises for check in one.checks)
        verdicts[str(number)] = verdict
        course_tree.hand_in(layout, week, f"real-{number}", raw)
        found[str(number)] = feedback.page(
            week, f"real-{number}", verdict, feedback.code_of(layout, week, f"real-{number}")
        )
    for number in (FIRST + 5, FIRST + 18):
        # A link by that name is refused, and the reason goes to the learner's page.
        text = NUMBERED[number].numbered(number).replace("/", "∕")
        inbox = tmp_path / str(number)
        inbox.mkdir()
        (inbox / f"{text}_{week.id}.ipynb").symlink_to("/etc/passwd")
        (inbox / f"eva{text}.ipynb").write_bytes(notebooks.REFUSED + text.encode())
        taken = collect.collect(layout, week, inbox)
        for student in taken.students:
            raw = (layout.submitted / student / week.id / f"{week.id}.ipynb").read_bytes()
            with pytest.raises(SubmissionError) as why:
                notebooks.read(raw)
            verdict = evaluation.unreadable(week, evaluation.submission_hash(raw), str(why.value), seed=1)
            found[f"file-{number}-{student}"] = feedback.page(week, student, verdict, {})
    assert len([name for name in found if name.startswith("file-")]) >= 2
    report.write(layout, week, report.summarise(week, verdicts))
    found["report"] = (layout.reports / f"{week.id}.html").read_text(encoding="utf-8")
    seen = chrome.visit(without_policy(found))
    assert seen.nothing, told(seen)
    assert {*found} <= {*seen.texts}


# -- notebooks, as the formgrader shows them -----------------------------------------------------------------


def sheet(body: str) -> str:
    return f'<!doctype html><html lang="en"><head><meta charset="utf-8"></head><body>{body}</body></html>'


def test_markdown_is_alive_as_nbconvert_renders_it_and_dead_once_it_is_harmless(chrome: Browser) -> None:
    markdown = {n: one for n, one in NUMBERED.items() if one.markdown}
    before = {str(n): sheet(str(markdown2html(one.numbered(n)))) for n, one in markdown.items()}
    due = {n for n, one in markdown.items() if not one.dormant}
    alive = chrome.visit(before).alive
    assert due - alive == set(), [markdown[n] for n in due - alive]
    # Rendered twice, as it is: once when it is recorded, once when it is shown. Links to the web may stay.
    after = {
        str(n): sheet(str(markdown2html(harmless.markdown(one.numbered(n))))) for n, one in NUMBERED.items()
    }
    seen = chrome.visit(after, links=False)
    assert seen.nothing, told(seen)
    shown = {name: text for name, text in seen.texts.items() if name in after}
    assert {name for name, text in shown.items() if UNSEEN.search(text)} == set()
    # What MathJax would read as a link, a style or an extension.
    commands = re.compile(r"\\(?:href|require|style|class|cssId|mmlToken)(?![A-Za-z])")
    assert {name for name, text in shown.items() if commands.search(text)} == set()


def hostile_notebook(week: Week, only: dict[int, Payload]) -> bytes:
    """A solved notebook, with every payload in every place that a notebook has for text."""
    notebook: dict[str, Any] = course_tree.submission(week)
    everything = "\n\n".join(one.numbered(n) for n, one in only.items())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] += "\n\n" + everything
            cell["attachments"] = {"x.svg": {"image/svg+xml": f"<svg>{everything}</svg>"}}
        elif cell["cell_type"] == "code":
            cell["outputs"] = outputs(everything[:5000])
    cells = []
    for number, payload in only.items():
        text = payload.numbered(number)
        # Tags that hide or show, names that templates print, and metadata that extensions read.
        metadata = {"name": text, "tags": [text, "raises-exception"], "slideshow": {"slide_type": text}}
        common = {"metadata": metadata | {"nbgrader": {"grade_id": text, "comment": text}}, "source": text}
        cells.append({"cell_type": "markdown", "id": f"m{number}", **common})
        cells.append({"cell_type": "raw", "id": f"r{number}", **common})
        cells[-1]["metadata"] = {"format": "text/html", "raw_mimetype": "text/html"}
        code = {"cell_type": "code", "id": f"c{number}", "execution_count": None, **common}
        cells.append({**code, "outputs": outputs(text) if number % 5 == 0 else []})
    notebook["cells"] = [*notebook["cells"], *cells]
    notebook["metadata"] |= {
        "title": everything,
        "authors": [{"name": everything}],
        "kernelspec": {"name": everything[:200], "display_name": everything, "language": everything[:200]},
        "language_info": {"name": "python", "pygments_lexer": everything[:200], "mimetype": everything[:200]},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"x": {"state": everything}}}},
        record.NOTE: everything,
    }
    return json.dumps(notebook).encode()


def recorded(course: Course, student: str, raw: bytes, verdict: Verdict) -> str:
    """Record a submission, and return the formgrader's number for it."""
    layout, week = course
    course_tree.hand_in(layout, week, student, raw)
    given = dataclasses.replace(verdict, submission=evaluation.submission_hash(raw))
    (done,) = record.record(layout, week, {student: given}, again=True)
    assert done.problem == ""
    with Gradebook(layout.gradebook_url) as book:
        return str(book.find_submission_notebook(week.id, week.id, student).id)


def whole(week: Week, only: dict[int, Payload]) -> Verdict:
    """A verdict with a check for each payload, so that each is printed in a graded cell."""
    verdict = judged(week, "x")
    (first, *rest) = verdict.exercises
    every = [dataclasses.replace(first.checks[0], seen=one.numbered(n)) for n, one in only.items()]
    return dataclasses.replace(verdict, exercises=[dataclasses.replace(first, checks=every), *rest])


@pytest.fixture(scope="module")
def formgrader(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Jupyter server with nbgrader's formgrader, started in the course."""
    layout, _ = course
    running = tmp_path_factory.mktemp("running")
    (layout.root / "nbgrader_config.py").write_bytes((course_tree.ROOT / "nbgrader_config.py").read_bytes())
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", "--port=0"),
            *("--ip=127.0.0.1", "--IdentityProvider.token=a-token", f"--ServerApp.root_dir={layout.root}"),
        ],
        cwd=layout.root,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(course_tree.ROOT),
            "HOME": str(running),
            "JUPYTER_RUNTIME_DIR": str(running),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while not (found := list(running.glob("jpserver-*.json"))):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, "the Jupyter server did not start within a minute"
            time.sleep(0.1)
        yield json.loads(found[0].read_text())["url"].replace("localhost", "127.0.0.1").rstrip("/")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_what_the_formgrader_shows_of_a_hostile_notebook_is_dead(
    chrome: Browser, course: Course, formgrader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, week = course
    number = recorded(course, "eve", hostile_notebook(week, NUMBERED), whole(week, NUMBERED))
    page = f"{formgrader}/formgrader/submissions/{number}/"
    html = served(page)
    # It is the learner's notebook that is shown, and not an error or an empty page.
    texts = sum(str(n) in html for n in NUMBERED)
    assert texts > 0.9 * len(NUMBERED), f"{texts} of {len(NUMBERED)} payloads are on the page"
    seen = chrome.visit_server(page, "a-token")
    assert texts_of(seen), "the page was not read"
    assert seen.ran == set(), told(seen)
    assert foreign(seen) == set(), told(seen)
    assert seen.opened == set(), told(seen)
    assert not UNSEEN.search(texts_of(seen))

    # The control: the same notebook recorded without what makes it harmless is alive on the same page.
    some = {n: one for n, one in NUMBERED.items() if one.kind == "event handler"}
    unguarded(monkeypatch)
    number = recorded(course, "bob", hostile_notebook(week, some), whole(week, some))
    alive = chrome.visit_server(f"{formgrader}/formgrader/submissions/{number}/", "a-token").alive
    assert len(alive & {*some}) >= 20, sorted(alive)


def test_a_file_that_quotes_our_own_refusal_is_shown_as_text(
    chrome: Browser, course: Course, formgrader: str
) -> None:
    """Who knows how a refused file begins can write the reason, which stands in a cell of its own."""
    _, week = course
    text = NUMBERED[FIRST].numbered(FIRST) + NUMBERED[FIRST + 18].numbered(FIRST + 18)
    raw = notebooks.REFUSED + (text + r"$\\href{javascript:fired(1000)}{x}$").encode()
    nothing = [dataclasses.replace(e, checks=[], outcome="unreadable") for e in judged(week, "").exercises]
    verdict = dataclasses.replace(judged(week, ""), exercises=nothing)
    page = f"{formgrader}/formgrader/submissions/{recorded(course, 'mal', raw, verdict)}/"
    assert "&lt;script&gt;fired(1000)" in served(page)
    assert "\\href" not in served(page)
    seen = chrome.visit_server(page, "a-token")
    assert (seen.ran, foreign(seen), seen.opened) == (set(), set(), set()), told(seen)


def test_what_is_recorded_has_been_made_harmless_in_every_place(course: Course) -> None:
    """Of a learner's notebook the graded one keeps source, as text or as harmless HTML, and nothing else."""
    layout, week = course
    recorded(course, "ida", hostile_notebook(week, NUMBERED), whole(week, NUMBERED))
    stored = nbformat.read(layout.autograded / "ida" / week.id / f"{week.id}.ipynb", as_version=4)
    released = notebooks.read(layout.notebooks / week.id / f"{week.id}.ipynb")
    assert not re.search(r"\b1\d\d\d\b", json.dumps(stored.metadata))
    own = {cell["source"] for cell in released["cells"]}
    kinds = set()
    for cell in stored.cells:
        assert not re.search(r"fired|leak\.test", json.dumps(cell.metadata)), cell.metadata
        assert "attachments" not in cell
        assert cell.cell_type in ("code", "markdown")
        for output in cell.get("outputs", []):
            kinds |= {output.output_type, *output.get("data", {})}
        if cell.cell_type == "markdown" and cell.source not in own:
            assert re.fullmatch(r"<div>.*</div>", cell.source)
            inside = cell.source.removeprefix("<div>").removesuffix("</div>")
            again = harmless.html(inside).replace("\n", "&#10;")
            assert again.replace("\r", "") == inside, "what is stored is not what the allow-list lets through"
        assert not UNSEEN.search(cell.source)
    assert kinds == {"stream", "execute_result", "text/plain"}
    # The notebook could be read: that it could not, only we may say.
    assert not any("as it was given out" in cell.source for cell in stored.cells)


def served(page: str) -> str:
    request = urllib.request.Request(page, headers={"Authorization": "token a-token"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as got:
        return str(got.read().decode())


def texts_of(seen: Seen) -> str:
    return "".join(seen.texts.values())


def foreign(seen: Seen) -> set[str]:
    """What was asked of others than the server. The formgrader's own MathJax comes from a public place."""
    return {one for one in seen.asked if "cdnjs.cloudflare.com" not in one}
