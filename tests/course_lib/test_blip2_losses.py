"""BLIP-2's contrastive loss and its negatives: closed forms, symmetries, and shares with an exact bound."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.blip2_stage1 import itc_loss, sample_negatives, similarity
from course_lib.errors import ShapeError

B, Q, E = 5, 3, 8


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.randn(B, Q, E)


@pytest.fixture
def texts() -> torch.Tensor:
    return torch.randn(B, E)


def orthonormal(n: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(E, E)).Q[:n]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("temperature", [0.07, 2.0])
def test_pairs_that_are_all_alike_cost_log_b(smoothing: float, temperature: float) -> None:
    pictures, texts = torch.randn(1, Q, E).expand(B, Q, E), torch.randn(1, E).expand(B, E)
    loss = itc_loss(pictures, texts, temperature, smoothing)
    assert loss.item() == pytest.approx(math.log(B), abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_right_angles_have_a_closed_form(smoothing: float) -> None:
    texts, temperature = orthonormal(B), 0.3
    sure = math.log(1 + (B - 1) * math.exp(-1 / temperature))
    expected = sure + smoothing * (B - 1) / B / temperature
    loss = itc_loss(texts[:, None], texts, temperature, smoothing)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_smoothing_keeps_the_loss_above_the_entropy_of_its_target() -> None:
    smoothing = 0.1
    right, other = 1 - smoothing + smoothing / B, smoothing / B
    entropy = -right * math.log(right) - (B - 1) * other * math.log(other)
    texts = orthonormal(B)
    reached = min(itc_loss(texts[:, None], texts, t, smoothing).item() for t in torch.linspace(0.05, 1, 400))
    assert entropy <= reached <= entropy + 1e-3


def test_the_loss_is_the_same_with_pictures_and_texts_exchanged(texts: torch.Tensor) -> None:
    pictures = torch.randn(B, 1, E)
    there, back = itc_loss(pictures, texts, 0.2), itc_loss(texts[:, None], pictures[:, 0], 0.2)
    torch.testing.assert_close(there, back)


def test_the_order_of_pairs_and_of_queries_does_not_matter(
    pictures: torch.Tensor, texts: torch.Tensor
) -> None:
    pairs, queries = torch.randperm(B), torch.randperm(Q)
    shuffled = itc_loss(pictures[pairs][:, queries], texts[pairs], 0.2)
    torch.testing.assert_close(shuffled, itc_loss(pictures, texts, 0.2))


def test_lengths_do_not_matter(pictures: torch.Tensor, texts: torch.Tensor) -> None:
    longer = itc_loss(pictures * (1 + torch.rand(B, Q, 1)), texts * (1 + torch.rand(B, 1)), 0.2)
    torch.testing.assert_close(longer, itc_loss(pictures, texts, 0.2))


def test_only_nearest_queries_get_a_gradient(pictures: torch.Tensor, texts: torch.Tensor) -> None:
    pictures.requires_grad_()
    cosines = F.cosine_similarity(pictures[:, :, None], texts[None, None], dim=-1)
    nearest = torch.zeros(B, Q, dtype=torch.bool)
    nearest.scatter_(1, cosines.argmax(dim=1), True)
    itc_loss(pictures, texts, 0.2).backward()
    assert pictures.grad is not None
    assert torch.equal(pictures.grad.abs().sum(dim=-1) > 0, nearest)


def test_the_temperature_learns(pictures: torch.Tensor, texts: torch.Tensor) -> None:
    temperature = torch.tensor(0.07, requires_grad=True)
    itc_loss(pictures, texts, temperature).backward()
    assert temperature.grad is not None
    assert temperature.grad != 0


def test_the_similarity_of_more_texts_than_pictures_is_a_table(pictures: torch.Tensor) -> None:
    table = similarity(pictures, torch.randn(B + 2, E))
    assert table.shape == (B, B + 2)
    assert table.abs().max() <= 1 + 1e-6


def test_numbers_that_are_no_pairs_are_named(pictures: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"5 pictures and 7 texts"):
        itc_loss(pictures, torch.randn(7, E), 0.2)


# -- negatives -------------------------------------------------------------------------------------------


def bound(n: int, false_alarm: float = 1e-9) -> float:
    """How far a share of n independent events is from its expectation, but for `false_alarm` (Hoeffding)."""
    return math.sqrt(math.log(2 / false_alarm) / (2 * n))


def test_each_other_one_is_drawn_with_its_share_of_the_softmax() -> None:
    b, n = 6, 4000
    logits = 1.5 * torch.randn(b, b) + 5 * torch.eye(b)
    own = torch.eye(b, dtype=torch.bool)
    drawn = [torch.zeros(b, b), torch.zeros(b, b)]
    for _ in range(n):
        for counts, row in zip(drawn, sample_negatives(logits), strict=True):
            counts[torch.arange(b), row] += 1 / n
    for counts, table in zip(drawn, (logits, logits.T), strict=True):
        assert (counts - table.masked_fill(own, -torch.inf).softmax(dim=1)).abs().max() < bound(n)


@pytest.mark.parametrize("scale", [1.0, 500.0])
@pytest.mark.parametrize("own", [-300.0, 0.0, 300.0])
def test_the_own_one_is_never_drawn(own: float, scale: float) -> None:
    logits = scale * torch.randn(40, 40)
    logits.fill_diagonal_(own)
    for row in sample_negatives(logits):
        assert not (row == torch.arange(40)).any()


def test_of_two_the_other_one_is_drawn() -> None:
    texts, pictures = sample_negatives(torch.randn(2, 2))
    assert texts.tolist() == pictures.tolist() == [1, 0]


def test_a_generator_repeats_its_draws_and_leaves_the_global_one_alone() -> None:
    logits, before = torch.randn(30, 30), torch.random.get_rng_state()
    first, again = (sample_negatives(logits, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_table_is_not_written_into_and_gets_no_gradient() -> None:
    logits = torch.randn(9, 9, requires_grad=True)
    before = logits.detach().clone()
    assert not any(row.requires_grad for row in sample_negatives(logits))
    assert torch.equal(logits, before)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(ShapeError, match="a batch of 1 has no wrong pair"):
        sample_negatives(torch.randn(1, 1))
