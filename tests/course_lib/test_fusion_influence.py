"""Who can influence whom in each pattern: laws of the masks and of the places where two sides meet."""

import functools

import pytest
import torch

from course_lib.errors import ShapeError
from course_lib.fusion import PATTERNS, Fusion, Parts
from course_lib.fusion_influence import (
    HEARD,
    STRIPS,
    TOKENS,
    Found,
    depths,
    drawn,
    how_deep,
    open_gates,
    who_influences_whom,
)
from course_lib.fusion_masks import prefix_lm_mask
from course_lib.influence import influence_matrix
from course_lib.late_fusion import LateFusion
from course_lib.raw_patches import EarlyFusion, raw_patches
from course_lib.stream_fusion import StreamFusion, thumbnail
from course_lib.world import MicroWorld

PARTS = Parts(raw_patches, EarlyFusion, LateFusion, StreamFusion, thumbnail, prefix_lm_mask)
WORDS = ("what", "colour", "is", "the", "ring", "?")
IN_FRONT = [name for name, one in PATTERNS.items() if one.where in ("input", "input and layers")]
CAUSAL = [name for name in IN_FRONT if name != "prefix-lm"]
STREAMED = [name for name, one in PATTERNS.items() if one.where != "output"]


@functools.cache
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=200, n_test=24)


def built(name: str) -> Fusion:
    torch.manual_seed(0)
    return PATTERNS[name].build(world(), PARTS)


@functools.cache
def found(name: str) -> Found:
    return who_influences_whom(influence_matrix, built(name), world())


@functools.cache
def deep(name: str) -> dict[str, list[bool]]:
    return {key: one.tolist() for key, one in depths(influence_matrix, built(name), world()).items()}


@pytest.mark.parametrize("name", STREAMED)
def test_in_a_stream_every_word_knows_the_whole_picture_and_the_words_up_to_itself(name: str) -> None:
    one = found(name)
    assert one.reaches(STRIPS, (*WORDS, "answer")).all()
    among = one.reaches((*WORDS, "red"), (*WORDS, "answer"))
    if name != "prefix-lm":
        assert torch.equal(among, torch.ones(7, 7, dtype=torch.bool).tril())


@pytest.mark.parametrize("name", CAUSAL)
def test_a_picture_that_stands_first_in_a_causal_stream_knows_no_word(name: str) -> None:
    assert not found(name).reaches((*WORDS, "red"), TOKENS).any()
    assert not any(deep(name)[HEARD[1]])


def test_with_a_prefix_mask_the_picture_knows_the_question_and_nobody_the_answer() -> None:
    one = found("prefix-lm")
    assert one.reaches(WORDS, TOKENS).all()
    assert one.reaches(WORDS, WORDS).all()
    assert not one.reaches(["red"], (*TOKENS, *WORDS)).any()
    assert deep("prefix-lm")[HEARD[1]] == [False, True, True, True, True, True]


@pytest.mark.parametrize("name", PATTERNS)
def test_what_is_to_be_said_reaches_nobody_before_it_is_said(name: str) -> None:
    assert not found(name).reaches(["red"], (*TOKENS, *WORDS)).any()


def test_at_the_output_nothing_meets_before_the_head() -> None:
    one = found("late")
    assert not one.reaches(STRIPS, WORDS).any()
    assert not one.reaches(WORDS, TOKENS).any()
    assert torch.equal(one.reaches(STRIPS, TOKENS), torch.eye(3, dtype=torch.bool))
    assert one.reaches((*STRIPS, *WORDS), ["answer"]).all()
    assert deep("late")[HEARD[0]] == [False] * 5 + [True]


def test_with_blocks_alone_no_visual_token_stands_in_the_stream() -> None:
    assert found("cross-attention").rows == (*WORDS, "answer")


@pytest.mark.parametrize("name", STREAMED)
def test_blocks_meet_the_words_before_the_first_layer_and_a_stream_in_it(name: str) -> None:
    between = "layers" in PATTERNS[name].where
    assert deep(name)[HEARD[0]] == [between] + [True] * 5


def test_where_they_meet_decides_the_matrix_and_what_arrives_does_not() -> None:
    for name in ("early, frozen", "linear", "mlp", "merge"):
        assert torch.equal(found(name).moved, found("early").moved)


def test_a_bottleneck_lets_each_token_know_the_whole_picture() -> None:
    for name in ("resampler", "q-former"):
        assert found(name).reaches(STRIPS, TOKENS).all()
    assert not found("linear").reaches(STRIPS, TOKENS).all()


def test_a_gate_that_is_shut_hides_the_picture_from_every_word() -> None:
    model = built("cross-attention")
    assert open_gates(model) == 4
    assert open_gates(built("linear")) == 0


def test_a_module_that_is_no_pattern_is_named() -> None:
    class Strange(Fusion):
        frozen = tokens = loss = right = None  # type: ignore[assignment]

    with pytest.raises(ShapeError, match="Strange"):
        who_influences_whom(influence_matrix, Strange(), world())


def test_the_figures_say_in_words_what_they_show() -> None:
    names = ("linear", "prefix-lm", "cross-attention", "late")
    alt = drawn({name: found(name) for name in names}).alt
    assert "linear: the words reach no visual token" in alt
    assert "prefix-lm: the words reach every visual token" in alt
    assert "cross-attention: no visual token in the stream" in alt
    assert "the picture reaches no word" in alt
    figure = how_deep({name: depths(influence_matrix, built(name), world()) for name in names})
    assert "first at 'said': late" in figure.alt
    assert figure.table is not None
    assert len(figure.table.rows) == 2 * len(names)
