"""Two vectors and a head, calculated once more row by row, in float64."""

import math

import pytest
import torch

from course_lib.late_fusion import LateFusion, masked_mean

B, V, T, D_VISUAL, D_TEXT, D_SHARED, ANSWERS = 4, 7, 5, 6, 9, 8, 3


@pytest.fixture
def late() -> LateFusion:
    torch.manual_seed(0)
    model = LateFusion(D_VISUAL, D_TEXT, D_SHARED, ANSWERS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model.eval()


@pytest.fixture
def asked() -> tuple[torch.Tensor, ...]:
    """Both sides, and masks (True = keep) of which one row keeps nothing."""
    seen, read = torch.rand(B, V) < 0.6, torch.rand(B, T) < 0.6
    seen[0], read[1] = False, False
    return torch.randn(B, V, D_VISUAL), torch.randn(B, T, D_TEXT), seen, read


def by_hand(late: LateFusion, visual, text, seen, read) -> torch.Tensor:
    weights = {name: one.double() for name, one in late.state_dict().items()}
    rows = []
    for k in range(B):
        vectors = []
        for tokens, keep, part in ((visual[k], seen[k], "picture"), (text[k], read[k], "question")):
            kept = [one.double() for one, real in zip(tokens, keep, strict=True) if real]
            mean = sum(kept) / len(kept) if kept else torch.zeros(tokens.shape[1], dtype=torch.float64)
            vectors.append(weights[f"{part}.weight"] @ mean + weights[f"{part}.bias"])
        one, other = vectors
        read_by_head = torch.cat([one, other, one * other])
        inside = weights["head.0.weight"] @ read_by_head + weights["head.0.bias"]
        inside = torch.tensor([x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in inside.tolist()]).double()
        rows.append(weights["head.2.weight"] @ inside + weights["head.2.bias"])
    return torch.stack(rows).float()


@torch.no_grad()
def test_it_is_what_it_is_by_hand(late, asked):
    torch.testing.assert_close(late(*asked), by_hand(late, *asked), atol=1e-5, rtol=1e-5)
    everything = torch.ones(B, V, dtype=torch.bool), torch.ones(B, T, dtype=torch.bool)
    torch.testing.assert_close(late(*asked[:2]), by_hand(late, *asked[:2], *everything), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_may_hold_anything(late, asked):
    visual, text, seen, read = asked
    clean = late(*asked)
    for junk in (1e6, math.inf, math.nan):
        spoilt = visual.masked_fill(~seen[:, :, None], junk), text.masked_fill(~read[:, :, None], junk)
        assert torch.equal(late(*spoilt, seen, read), clean)


def test_gradients_reach_both_sides_and_no_padding(late, asked):
    visual, text, seen, read = asked
    visual, text = visual.requires_grad_(), text.requires_grad_()
    late(visual, text, seen, read).square().sum().backward()
    for tokens, keep in ((visual, seen), (text, read)):
        assert tokens.grad is not None
        assert torch.equal(tokens.grad.abs().sum(dim=2) > 0, keep)


def test_nothing_kept_is_a_mean_of_zeros():
    tokens = torch.randn(2, 3, 4)
    keep = torch.tensor([[True, False, True], [False, False, False]])
    torch.testing.assert_close(masked_mean(tokens, keep)[0], (tokens[0, 0] + tokens[0, 2]) / 2)
    assert torch.equal(masked_mean(tokens, keep)[1], torch.zeros(4))
