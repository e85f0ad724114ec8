"""The page to point at: what it says, and what it does in a real browser, with scripts and without."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from course_lib.exhibits import Exhibit
from course_lib.gaze import Gaze
from course_lib.looking import Page, looking, one_word, still
from tests.fixtures.browser import Browser, Tab, browser

WORDS = ["check", "<image>", "<script>alert(1)</script>", "ring", "<image>", "red", "ring"]
INDEX = [0, 1, 1, 1, 2, 2, 2]


@pytest.fixture(scope="module")
def seen() -> Gaze:
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(9, 0.3), size=(2, 3, 7, 2)).reshape(2, 3, 7, 2, 3, 3)
    for token, picture in enumerate(INDEX):
        weights[:, :, token, [n for n in range(2) if n != picture - 1]] = 0
    pictures = generator.integers(0, 255, (2, 12, 12, 3)).astype(np.uint8)
    return Gaze(
        WORDS, pictures, INDEX, weights.astype(np.float32), ["before layer 1", "before layer 3"], 1e-7
    )


def test_without_a_kernel_it_is_the_page_and_printed_it_is_the_table(seen):
    page = looking(seen)
    assert isinstance(page, Page)
    for token, word in enumerate(WORDS):
        assert re.search(rf"{re.escape(word)} +{re.escape(seen.said(1, None, token))}", str(page))
    assert "reads nothing" in str(page)


def test_every_text_is_escaped(seen):
    html = looking(seen, live=False)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_page_asks_for_nothing_and_is_the_same_every_time(seen):
    html = looking(seen, live=False)._repr_html_()
    assert set(re.findall(r'src="([a-z]+:[a-z/]+)', html)) == {"data:image/png"}
    assert "http" not in html
    assert html == looking(seen, live=False)._repr_html_()


def test_every_picture_has_words(seen):
    html = looking(seen, live=False)._repr_html_()
    images = re.findall(r"<img [^>]*>", html)
    assert images
    assert all(re.search(r'alt="[^"]+"', image) for image in images)


def test_the_still_figure_says_what_every_word_reads(seen):
    shown = still(seen)
    assert isinstance(shown, Exhibit)
    assert [row[2] for row in shown.table.cells()] == [seen.said(1, None, t) for t in range(7)]
    assert seen.said(1, None, 3) in shown.alt
    assert still(seen, layer=0, head=2).table.cells()[3][2] == seen.said(0, 2, 3)


def test_moving_a_menu_writes_out_another_word(seen, capsys):
    menus = looking(seen, live=True)
    assert seen.said(1, None, 6) in capsys.readouterr().out, "the page is displayed first"
    controls, screen = {c.description: c for c in menus.children[:-1]}, menus.children[-1]
    assert seen.said(1, None, 1) in screen.value
    controls["word"].value, controls["block"].value, controls["head"].value = 5, 0, 2
    assert seen.said(0, 2, 5) in screen.value
    controls["word"].value = 0
    assert "reads nothing" in screen.value


def test_one_word_that_reads_nothing_still_has_a_figure(seen):
    assert "reads nothing" in one_word(seen, 0).alt


# -- in a browser ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def tab(request: pytest.FixtureRequest, chrome: Browser, seen: Gaze) -> Iterator[Tab]:
    html = looking(seen, live=False)._repr_html_()
    page = chrome.read(f"<!doctype html><meta charset=utf-8><body>{html}", scripts=request.param)
    yield page
    page.close()


def panels(tab: Tab) -> list[int]:
    return [t for t in range(len(WORDS)) if tab.shown(f".p{t} i")]


def veils(tab: Tab, token: int) -> list[str]:
    every = [f"l{layer}h{head}" for layer in range(2) for head in range(4)]
    return [which for which in every if tab.shown(f".p{token} .veil.{which}")]


def said(tab: Tab, token: int) -> list[str]:
    every = [f"l{layer}h{head}" for layer in range(2) for head in range(4)]
    return [which for which in every if tab.shown(f"tr.t{token} .said.{which}")]


@pytest.mark.slow
def test_a_word_pointed_at_shows_what_it_reads_and_lets_go(tab: Tab) -> None:
    assert panels(tab) == []
    tab.hover(".word.t3")
    assert panels(tab) == [3]
    assert veils(tab, 3) == ["l1h0"]
    tab.hover("tr.t5")
    assert panels(tab) == [5]
    tab.leave()
    assert panels(tab) == []


@pytest.mark.slow
def test_a_click_keeps_a_word_and_a_second_one_lets_it_go(tab: Tab) -> None:
    assert not tab.shown(".off.t3")
    tab.click(".word.t3")
    assert tab.shown(".off.t3")
    assert not tab.shown(".word.t3:not(.off)")
    tab.hover(".word.t5")
    assert panels(tab) == [3]
    tab.leave()
    assert panels(tab) == [3]
    tab.click(".word.t5")
    tab.leave()
    assert panels(tab) == [5]
    tab.click(".off.t5")
    tab.leave()
    assert panels(tab) == []
    tab.hover(".word.t6")
    assert panels(tab) == [6]


@pytest.mark.slow
def test_the_menus_choose_block_and_head_for_the_picture_and_the_table(tab: Tab) -> None:
    tab.click(".word.t6")
    tab.click(".menus span:nth-of-type(1) label")  # the first block
    tab.click(".menus span:nth-of-type(2) label:last-of-type")  # the last head
    assert veils(tab, 6) == ["l0h3"]
    assert said(tab, 6) == ["l0h3"]


@pytest.mark.slow
def test_the_keyboard_alone_goes_from_word_to_word(tab: Tab) -> None:
    for _ in range(3):  # block, head, words
        tab.press("Tab", 9)
    tab.press("ArrowRight", 39)
    assert panels(tab) == [0]
    for _ in range(3):
        tab.press("ArrowRight", 39)
    assert panels(tab) == [3]
    for _ in range(4):
        tab.press("ArrowLeft", 37)
    assert panels(tab) == []


def test_jupyterlab_leaves_the_arrow_keys_to_every_input(seen):
    """It looks for this on the very element that has the focus; without it, it moves to another cell."""
    inputs = re.findall(r"<input [^>]*>", looking(seen, live=False)._repr_html_())
    assert len(inputs) == 2 + 4 + 1 + 7
    assert all('data-lm-suppress-shortcuts="true"' in one for one in inputs)


@pytest.mark.slow
def test_where_no_style_may_work_the_table_and_the_still_figure_are_left(chrome: Browser, seen: Gaze) -> None:
    """What JupyterLab leaves of a page that it does not trust: no style sheet, no `hidden`, no identifiers,
    inputs disabled.
    """
    html = looking(seen, live=False)._repr_html_()
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert " hidden" not in html.replace('aria-hidden="true"', "")
    html = re.sub(r' id="', ' data-jupyter-id="', html).replace("<input ", "<input disabled ")
    tab = chrome.read(f"<!doctype html><meta charset=utf-8><body>{html}", scripts=False)
    assert not tab.shown(".row")
    assert not tab.shown(".menus")
    assert not tab.shown(".veils")
    assert [len(said(tab, t)) >= 1 for t in range(7)] == [True] * 7
    assert all("l1h0" in said(tab, t) for t in range(7))
    assert tab.shown("summary")
    tab.close()
