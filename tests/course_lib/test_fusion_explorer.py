"""The explorers of week 5 show what the learner's function counts, and say what does not fit."""

import pytest

from course_lib import fusion_bills
from course_lib.cost_model import picture_tokens
from course_lib.exhibits import Exhibit
from course_lib.fusion_bills import RAW, SIZES, THUMBNAIL, WAYS, bill
from course_lib.fusion_explorer import fusion_explorer
from course_lib.resolution_explorer import resolution_explorer


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    """A plain stand-in with the exercise's signature: not what anything costs, but each number matters."""
    read = text + (0 if cross_every else visual)
    beside = 1000 * visual if cross_every else 0
    return {
        "context": read + written,
        "prefill": 7 * read + beside + d_visual,
        "writing": 11 * written * read + beside,
        "cache_bytes": 2 * bytes_per_number * (read + written + beside),
    }


def rows(shown):
    return {row[0]: dict(zip(shown.table.header, row, strict=True)) for row in shown.table.rows}


def test_without_a_kernel_there_are_complete_figures():
    shown = fusion_explorer(answer_cost)
    assert isinstance(shown, Exhibit)
    assert [row[0] for row in shown.table.rows] == list(WAYS)
    assert all(f"{name}, {way.where}, {way.what}" in shown.alt for name, way in WAYS.items())
    shown = resolution_explorer(picture_tokens)
    assert isinstance(shown, Exhibit)
    assert "3 x 2 tiles" in shown.alt


def test_without_ipywidgets_there_are_the_same_figures(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(fusion_explorer(answer_cost), Exhibit)
    assert isinstance(resolution_explorer(picture_tokens), Exhibit)


def test_the_table_has_the_numbers_of_the_learners_function():
    shown = rows(fusion_explorer(answer_cost, live=False))
    size, grid = SIZES["7B"], 336 // 14
    enters = {"linear": grid**2, "MLP": grid**2, "merge": grid**2 // 4, "resampler": 64, "prefix-LM": grid**2}
    enters["raw patches"] = (336 // RAW) ** 2 + 336 // RAW
    for name, visual in enters.items():
        counted = answer_cost(size, visual, 50, 20)
        assert (shown[name]["in the stream"], shown[name]["beside it"]) == (visual, 0)
        assert shown[name]["context at the end"] == counted["context"]
        assert shown[name]["FLOPs to read"] == counted["prefill"]
        assert shown[name]["FLOPs to write"] == counted["writing"]
        assert shown[name]["cache bytes"] == counted["cache_bytes"]
    counted = answer_cost(size, grid**2, 51, 20, cross_every=4, d_visual=1024)
    assert shown["cross-attention"]["FLOPs to read"] == counted["prefill"]
    assert shown["cross-attention"]["context at the end"] == 71  # question, tag and answer
    assert shown["two vectors"]["FLOPs to read"] == answer_cost(size, 0, 50, 0)["prefill"]
    assert shown["two vectors"]["FLOPs to write"] == shown["two vectors"]["cache bytes"] == 0


def test_a_hybrid_pays_for_its_thumbnail_in_the_stream_and_for_blocks_on_the_words_alone():
    size, v = SIZES["7B"], 24**2
    found = bill(answer_cost, size, "hybrid", 336, 50, 20)
    stream = answer_cost(size, THUMBNAIL**2, 50, 20)
    blocks = answer_cost(size, v, 50, 20, cross_every=4, d_visual=1024)
    words = answer_cost(size, 0, 50, 20)
    assert found.prefill == stream["prefill"] + blocks["prefill"] - words["prefill"]
    assert found.cache_bytes == stream["cache_bytes"] + blocks["cache_bytes"] - words["cache_bytes"]
    assert (found.front, found.beside, found.context) == (64, v, 64 + 50 + 20)


def test_trained_parameters_are_those_of_the_published_bridges():
    trained = {name: bill(answer_cost, SIZES["7B"], name, 336, 50, 20).trained for name in WAYS}
    assert trained["linear"] == trained["prefix-LM"] == 4_198_400
    assert trained["MLP"] == 20_979_712
    assert trained["raw patches"] > 6_738_000_000  # the language model trains
    assert trained["hybrid"] - trained["cross-attention"] == trained["MLP"]


def test_moving_a_control_redraws():
    box = fusion_explorer(answer_cost, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    assert "One diagram, MLP" in screen.value
    controls["how they meet"].value = "hybrid"
    assert "One diagram, hybrid" in screen.value
    controls["picture side in pixels"].value = 672
    assert "64 visual tokens in the stream and 2304 beside it" in screen.value
    controls["language model"].value = "0.5B"
    assert "at 0.5B" in screen.value
    controls["tokens of the question"].value, controls["tokens of the answer"].value = 100, 0
    assert "100 tokens of question and 0 of answer" in screen.value
    for name in WAYS:
        controls["how they meet"].value = name
        assert f"One diagram, {name}" in screen.value


def test_what_does_not_divide_is_said_in_the_figure_and_the_rest_is_drawn():
    box = fusion_explorer(answer_cost, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    controls["how they meet"].value = "all nine"
    controls["picture side in pixels"].value = 350
    assert "raw patches: width=350 is not a whole number of patches of 28" in screen.value
    assert "hybrid: a thumbnail of 8 x 8 does not tile 25 x 25 patches" in screen.value
    assert "MLP, at the input, features: 625 visual tokens" in screen.value

    def never(*_, **__):
        raise ValueError("text=0 is too small")

    shown = fusion_explorer(never, live=False)
    assert {row[3] for row in shown.table.rows} == {"does not divide"}


def test_the_resolution_explorer_counts_tokens_tiles_and_shares():
    shown = resolution_explorer(picture_tokens, live=False)
    assert shown.table.rows == [
        ["whole", 1, 1, 48 * 72, "42.2%", 2],
        ["whole", 2, 1, 24 * 36, "10.5%", 9],
        ["in tiles", 1, 7, 7 * 576, "49.2%", 2],
        ["in tiles", 2, 7, 7 * 144, "12.3%", 8],
    ]


def test_moving_width_and_tiling_redraws_the_picture_and_says_what_does_not_fit():
    box = resolution_explorer(picture_tokens, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    before = screen.value
    controls["width in pixels"].value = 910
    assert screen.value != before
    assert "whole, merge 2: width=910 is not a whole number of blocks of 2 x 2 patches of 14" in screen.value
    assert "The tiles are 1008 x 672 pixels; what is beyond the picture is padding." in screen.value
    controls["read"].value = "whole"
    assert "padding" not in screen.value
    assert "910 x 672 pixels, read whole" in screen.value
    controls["read"].value, controls["tiles at most"].value = "in tiles", 4
    assert "take 3 x 2 tiles of 336, and max_tiles=4" in screen.value
    controls["context in tokens"].value, controls["merge"].value = 2048, 4
    assert "of a context of 2048" in screen.value


def test_a_picture_larger_than_the_context_is_drawn_and_said():
    box = resolution_explorer(picture_tokens, live=True)
    controls, screen = {c.description: c for c in box.children[:-1]}, box.children[-1]
    controls["context in tokens"].value = 2048
    assert "in tiles, merge 1: 4032 tokens, 196.9% of a context of 2048" in screen.value


@pytest.mark.parametrize(
    ("count", "said"), [(8_313_676_759_040, "8.31 TFLOP"), (406_077_407, "0.4 GFLOP"), (0, "0.0 GFLOP")]
)
def test_flops_are_said_in_units_people_use(count, said):
    assert fusion_bills.flops(count) == said
