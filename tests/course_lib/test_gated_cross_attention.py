"""Closed, the gate changes nothing; open, it adds."""

import pytest
import torch
from torch import nn

from course_lib.cross_attention import CrossAttention
from course_lib.gated_cross_attention import GatedCrossAttention

B, T, V, D_TEXT, D_VISUAL = 2, 7, 5, 12, 10


@pytest.fixture
def block() -> GatedCrossAttention:
    return GatedCrossAttention(CrossAttention(D_TEXT, D_VISUAL, n_heads=3, d_head=4), D_TEXT)


@pytest.fixture
def text() -> torch.Tensor:
    return torch.randn(B, T, D_TEXT)


@pytest.fixture
def visual() -> torch.Tensor:
    return torch.randn(B, V, D_VISUAL)


def opened(block: GatedCrossAttention, alpha: float) -> GatedCrossAttention:
    with torch.no_grad():
        block.alpha.fill_(alpha)
    return block


def test_a_new_block_returns_the_text_bit_for_bit(
    block: GatedCrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    assert torch.equal(block(text, 1e4 * visual), text)
    assert not torch.equal(opened(block, 0.01)(text, visual), text)


@pytest.mark.parametrize("alpha", [0.3, -0.3, 2.0, -50.0])
def test_it_adds_tanh_alpha_times_what_was_read(
    block: GatedCrossAttention, text: torch.Tensor, visual: torch.Tensor, alpha: float
) -> None:
    read = block.attention(block.norm(text), visual)
    expected = text + torch.tanh(torch.tensor(alpha)) * read
    torch.testing.assert_close(opened(block, alpha)(text, visual), expected, atol=1e-6, rtol=0)


def test_the_sign_of_alpha_and_of_the_output_projection_cancel(
    block: GatedCrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    """Why the sign of a trained gate means nothing."""
    expected = opened(block, 0.7)(text, visual)
    with torch.no_grad():
        for parameter in block.attention.out_proj.parameters():  # type: ignore[union-attr, operator]
            parameter.neg_()
    torch.testing.assert_close(opened(block, -0.7)(text, visual), expected, atol=1e-6, rtol=0)


def test_a_picture_that_keeps_nothing_changes_nothing_even_through_an_open_gate(
    block: GatedCrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    keep = torch.tensor([[False] * V, [True] * V])
    out = opened(block, 1.0)(text, visual, keep)
    assert torch.equal(out[0], text[0])
    assert not torch.equal(out[1], text[1])


def test_at_first_only_alpha_learns_and_after_one_step_everything_does(
    block: GatedCrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    optimiser = torch.optim.SGD(block.parameters(), lr=0.5)
    target = torch.randn(B, T, D_TEXT)
    awake = []
    for _ in range(2):
        optimiser.zero_grad()
        (block(text, visual) - target).square().mean().backward()
        awake.append({n for n, p in block.named_parameters() if p.grad is not None and p.grad.any()})
        optimiser.step()
    assert awake[0] == {"alpha"}
    assert awake[1] == {name for name, _ in block.named_parameters()}


def test_two_zeros_never_learn(block: GatedCrossAttention, text: torch.Tensor, visual: torch.Tensor) -> None:
    """The counter-example that the notebook names: gate and output projection both at 0."""
    for parameter in block.attention.out_proj.parameters():  # type: ignore[union-attr, operator]
        nn.init.zeros_(parameter)
    (block(text, visual) - torch.randn(B, T, D_TEXT)).square().mean().backward()
    assert not any(p.grad.any() for p in block.parameters() if p.grad is not None)
