"""Weights that are seen are those that were used; what is shown of them is what they are."""

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.errors import CourseError, ShapeError
from course_lib.gated_block import MaskedCrossAttention, gated_block
from course_lib.gaze import cross_attention_seen, gaze
from course_lib.media import media_mask

HEADS, GRID, INDEX = 3, (2, 3), [0, 1, 1, 2, 2]


@pytest.fixture
def blocks():
    made = nn.ModuleList(gated_block(12, 10, HEADS, 8, d_head=5) for _ in range(2))
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.6)
    return made


@pytest.fixture
def row():
    mask = media_mask(torch.tensor([INDEX]), torch.ones(1, 2, 6, dtype=torch.bool))
    return torch.randn(1, 5, 12), torch.randn(1, 12, 10), mask


def run_of(blocks, row):
    def run():
        text, visual, mask = row
        for block in blocks:
            text = block(text, visual, mask)
        return text

    return run


def test_the_weights_seen_make_the_layers_own_output(blocks, row):
    text, visual, mask = row
    layer = blocks[0].cross_attn
    with cross_attention_seen([layer], HEADS) as seen, torch.no_grad():
        out = layer(text, visual, mask)
        values = layer.v_proj(visual).unflatten(2, (HEADS, 5))
        again = layer.o_proj(torch.einsum("bhts,bshe->bthe", seen[0].weights, values).flatten(2))
    torch.testing.assert_close(again, out, atol=1e-6, rtol=0)
    assert seen[0].gap < 1e-6


def test_a_token_that_reads_nothing_has_a_row_of_zeros_and_every_other_row_sums_to_one(blocks, row):
    with cross_attention_seen(blocks, HEADS) as seen:
        run_of(blocks, row)()
    for one in seen.values():
        total = one.weights.sum(-1)
        assert torch.equal(total[:, :, 0], torch.zeros(1, HEADS))
        torch.testing.assert_close(total[:, :, 1:], torch.ones(1, HEADS, 4))
        assert not one.weights[0][:, ~row[2][0]].any()


def test_a_mask_by_name_and_no_mask_at_all_are_understood(blocks, row):
    text, visual, mask = row
    layer = blocks[0].cross_attn
    with cross_attention_seen([layer], HEADS) as seen:
        layer(text, visual=visual, media_mask=mask)
        by_name = seen[0]
        layer(text, visual)
    assert (by_name.weights[0, :, 0] == 0).all()
    torch.testing.assert_close(seen[0].weights.sum(-1), torch.ones(1, HEADS, 5))
    assert max(by_name.gap, seen[0].gap) < 1e-6


def test_watching_ends_with_the_with(blocks, row):
    with pytest.raises(RuntimeError), cross_attention_seen(blocks, HEADS) as seen:
        raise RuntimeError
    run_of(blocks, row)()
    assert seen == {}


def test_an_attention_whose_numbers_are_not_these_weights_is_not_believed(blocks, row):
    class Colder(MaskedCrossAttention):
        def forward(self, text, visual, media_mask=None):
            return super().forward(text / 2, visual, media_mask)

    colder = Colder(12, 10, HEADS, 5)
    colder.load_state_dict(blocks[0].cross_attn.state_dict())
    with pytest.raises(CourseError, match="check its scale"):
        gaze(lambda: colder(*row), [colder], HEADS, list("abcde"), pictures(), GRID, INDEX)


def test_a_block_without_such_an_attention_is_named():
    with (
        pytest.raises(CourseError, match="block 1, a Linear"),
        cross_attention_seen([MaskedCrossAttention(4, 4, 1, 4), nn.Linear(3, 3)], 1),
    ):
        pass


def pictures():
    return np.random.default_rng(0).integers(0, 255, (2, 12, 12, 3)).astype(np.uint8)


def test_what_a_word_reads_is_said_in_words(blocks, row):
    seen = gaze(run_of(blocks, row), blocks, HEADS, list("abcde"), pictures(), GRID, INDEX)
    assert seen.weights.shape == (2, HEADS, 5, 2, 2, 3)
    assert seen.said(0, None, 0) == "reads nothing"
    values = seen.weights[1, 2, 3, 1]
    r, c = np.unravel_index(values.argmax(), values.shape)
    share = f"{values.max():.2f}".lstrip("0")
    assert seen.said(1, 2, 3) == f"reads picture 2: most at row {r + 1}, column {c + 1} ({share})"
    np.testing.assert_allclose(seen.map(1, None, 3), seen.weights[1, :, 3, 1].mean(0))


def test_visual_tokens_lie_in_reading_order(blocks, row):
    """Token 4 of the second picture, counted from 0, is in its second row and second column."""
    seen = gaze(run_of(blocks, row), blocks, HEADS, list("abcde"), pictures(), GRID, INDEX)
    with cross_attention_seen(blocks, HEADS) as raw:
        run_of(blocks, row)()
    for head in range(HEADS):
        assert seen.weights[1, head, 3, 1, 1, 1] == raw[1].weights[0, head, 3, 6 + 4]
        assert seen.weights[1, head, 3, 1, 0, 2] == raw[1].weights[0, head, 3, 6 + 2]


def test_sizes_that_do_not_fit_are_told_with_both_numbers(blocks, row):
    with pytest.raises(ShapeError, match=r"4 words.*\(1, 4, 12\).*\(1, 5, 12\)"):
        gaze(run_of(blocks, row), blocks, HEADS, list("abcd"), pictures(), GRID, INDEX)
    with pytest.raises(CourseError, match=r"blocks \[0, 1\] did not run"):
        gaze(lambda: None, blocks, HEADS, list("abcde"), pictures(), GRID, INDEX)
    with pytest.raises(ShapeError, match="n_heads=4"):
        gaze(run_of(blocks, row), blocks, 4, list("abcde"), pictures(), GRID, INDEX)
