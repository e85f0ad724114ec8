"""The gated block: Idefics' numbers, two gates, and exactly nothing for a token without a picture."""

import inspect

import pytest
import torch
from torch import nn

from course_lib.errors import CourseError, ShapeError
from course_lib.gated_block import GatedBlock, MaskedCrossAttention, gated_block
from tests.fixtures.idefics import D_HIDDEN, D_TEXT, D_VISUAL, HEADS, config, redrawn

B, T, S = 2, 7, 6
GATES = {"alpha_cross_attn", "alpha_dense"}


@pytest.fixture
def text() -> torch.Tensor:
    return torch.randn(B, T, D_TEXT)


@pytest.fixture
def visual() -> torch.Tensor:
    return torch.randn(B, S, D_VISUAL)


@pytest.fixture
def mask() -> torch.Tensor:
    """Text before its picture, the first of two pictures, the second; a row with none. True = keep."""
    mask = torch.zeros(B, T, S, dtype=torch.bool)
    mask[0, 2:4, :2] = True
    mask[0, 4:, 2:] = True
    return mask


def gates(block: GatedBlock, attention: float, dense: float) -> GatedBlock:
    with torch.no_grad():
        block.alpha_cross_attn.fill_(attention)
        block.alpha_dense.fill_(dense)
    return block


def fresh(alpha: str = "float") -> GatedBlock:
    return gated_block(D_TEXT, D_VISUAL, HEADS, D_HIDDEN, d_head=5, alpha=alpha)


@pytest.mark.parametrize("alpha", ["float", "vector"])
def test_it_equals_idefics_with_every_parameter_redrawn(
    alpha: str, text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    idefics = pytest.importorskip("transformers.models.idefics.modeling_idefics")
    theirs = redrawn(idefics.IdeficsGatedCrossAttentionLayer(config(alpha), layer_idx=0), std=0.3)
    ours = gated_block(D_TEXT, D_VISUAL, HEADS, D_HIDDEN, alpha=alpha)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    added = torch.where(mask[:, None], 0.0, torch.finfo(torch.float32).min)
    expected = theirs(
        text,
        image_hidden_states=visual,
        image_attention_mask=added,
        cross_attention_gate=mask.any(dim=-1).float(),
    )
    torch.testing.assert_close(ours(text, visual, mask), expected, atol=1e-5, rtol=1e-5)
    assert (ours(text, visual) - expected).abs().max() > 0.1  # the mask is part of what was compared
    for name in GATES:
        shut = gated_block(D_TEXT, D_VISUAL, HEADS, D_HIDDEN, alpha=alpha)
        shut.load_state_dict({**theirs.state_dict(), name: 0 * theirs.state_dict()[name]})
        assert (shut(text, visual, mask) - expected).abs().max() > 0.01, name  # and so is each gate


@pytest.mark.parametrize("alpha", ["float", "vector"])
def test_a_new_block_returns_the_text_bit_for_bit_and_either_gate_alone_changes_it(
    alpha: str, text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    block = fresh(alpha)
    assert block.alpha_cross_attn.shape == block.alpha_dense.shape
    assert block.alpha_cross_attn.shape == ((1,) if alpha == "float" else (1, 1, D_TEXT))
    assert torch.equal(block(text, 1e4 * visual, mask), text)
    for opened in ((0.01, 0.0), (0.0, 0.01)):
        assert not torch.equal(gates(block, *opened)(text, visual, mask), text)


def test_what_is_added_is_tanh_of_each_gate_times_its_own_part(
    text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    block = redrawn(fresh())
    for attention, dense in ((0.4, -0.9), (-2.0, 0.1)):
        read = block.cross_attn(block.input_layernorm(text), visual, mask)
        between = text + torch.tensor(attention).tanh() * read
        worked = block.mlp(block.post_attention_layernorm(between))
        expected = between + torch.tensor(dense).tanh() * worked
        out = gates(block, attention, dense)(text, visual, mask)
        torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("gate", [0.5, -3.0, 50.0])
def test_a_token_that_keeps_nothing_is_read_as_if_there_were_no_attention(
    gate: float, text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    nothing = ~mask.any(dim=-1)
    only_reads = gates(redrawn(fresh()), gate, 0.0)
    out = only_reads(text, visual, mask)
    assert torch.equal(out[nothing], text[nothing])
    assert (out[~nothing] - text[~nothing]).abs().amax(dim=-1).min() > 1e-3
    both = gates(only_reads, gate, 0.7)
    here, elsewhere = both(text, visual, mask), both(text, 100 * torch.randn(B, S, D_VISUAL), mask)
    assert torch.equal(here[nothing], elsewhere[nothing])
    assert not torch.equal(here[nothing], text[nothing])  # the feed-forward is open for every token
    assert here.isfinite().all()


def test_gradients_are_finite_and_a_token_that_keeps_nothing_gives_none_to_the_pictures(
    text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    block = gates(redrawn(fresh()), 0.8, 0.8)
    visual.requires_grad_(True)
    block(text, visual, mask)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())
    assert visual.grad is not None
    assert visual.grad[0].abs().amax(dim=-1).min() > 0
    block(text, visual, mask)[1].square().sum().backward()
    assert torch.equal(visual.grad[1], torch.zeros_like(visual[1]))


def test_only_the_pictures_of_its_own_row_of_the_mask_reach_a_token(
    text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    block = gates(redrawn(fresh()), 0.8, 0.8)
    out = block(text, visual, mask)
    for token in range(S):
        changed = visual.clone()
        changed[0, token] += torch.randn(D_VISUAL)
        moved = (block(text, changed, mask) != out).any(dim=-1)
        assert torch.equal(moved[0], mask[0, :, token])
        assert not moved[1].any()
    unmasked = block(text, visual)
    torch.testing.assert_close(block(text, visual, torch.ones_like(mask)), unmasked, atol=1e-6, rtol=1e-6)


def test_no_picture_at_all_is_no_attention_and_has_finite_gradients(text: torch.Tensor) -> None:
    block = gates(redrawn(fresh()), 0.8, 0.0)
    none = torch.zeros(B, T, 0, dtype=torch.bool)
    out = block(text, torch.zeros(B, 0, D_VISUAL), none)
    assert torch.equal(out, text)
    out.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in block.parameters())


def test_at_first_only_the_gates_learn_and_after_one_step_everything_does(
    text: torch.Tensor, visual: torch.Tensor, mask: torch.Tensor
) -> None:
    block = fresh()
    optimiser = torch.optim.SGD(block.parameters(), lr=0.5)
    target, awake = torch.randn(B, T, D_TEXT), []
    for _ in range(2):
        optimiser.zero_grad()
        (block(text, visual, mask) - target).square().mean().backward()
        awake.append({n for n, p in block.named_parameters() if p.grad is not None and p.grad.any()})
        optimiser.step()
    assert awake == [GATES, {name for name, _ in block.named_parameters()}]


def test_most_parameters_are_the_feed_forwards_at_flamingos_proportions() -> None:
    """Four times as wide inside, as in the paper, whose feed-forward has two matrices and this one three."""
    with torch.device("meta"):
        block = gated_block(1024, 256, 8, 4096)
    dense, attention = (sum(p.numel() for p in part.parameters()) for part in (block.mlp, block.cross_attn))
    assert (dense, attention) == (3 * 1024 * 4096, 2 * 1024 * (1024 + 256))


def test_bad_sizes_and_gates_are_named_with_their_numbers() -> None:
    with pytest.raises(ShapeError, match=r"d_text=24 cannot be cut into n_heads=5 equal heads.*divides 24"):
        gated_block(24, 20, 5, 40)
    with pytest.raises(ShapeError, match="n_heads=0"):
        gated_block(24, 20, 0, 40)
    with pytest.raises(CourseError, match=r"no gate 'scalar'; choose one of float, vector"):
        GatedBlock(nn.Identity(), nn.Identity(), 24, alpha="scalar")


@pytest.mark.parametrize("shape", [(B, S, T), (B, T, S - 1), (1, T, S)])
def test_a_mask_of_another_shape_is_named_with_what_is_needed(
    shape: tuple[int, ...], text: torch.Tensor, visual: torch.Tensor
) -> None:
    attention = MaskedCrossAttention(D_TEXT, D_VISUAL, HEADS, 5)
    forward = inspect.unwrap(MaskedCrossAttention.forward)  # as a learner runs it: shapes are not checked
    wrong = torch.ones(shape, dtype=torch.bool)
    numbers = rf"media_mask is \({', '.join(map(str, shape))}\); 2 rows of 7 .* 6 visual .* \(2, 7, 6\)"
    with pytest.raises(ShapeError, match=numbers):
        forward(attention, text, visual, wrong)
