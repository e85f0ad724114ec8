"""Attention read from outside equals the attention that was used."""

import pytest
import torch
from torch import nn

from course_lib.watching import attention_watched


class Pair(nn.Module):
    """Two layers, called in the two ways people call them."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cross = nn.MultiheadAttention(8, 2, kdim=5, vdim=5, batch_first=True)

    def forward(self, queries, visual, ignore=None):
        queries = queries + self.own(queries, queries, queries, None, False)[0]
        return queries + self.cross(queries, visual, visual, key_padding_mask=ignore, need_weights=False)[0]


def test_weights_have_a_row_for_every_query_and_head():
    model = Pair().eval()
    with attention_watched(model) as seen:
        model(torch.randn(3, 4, 8), torch.randn(3, 6, 5))
    assert {name: tuple(weights.shape) for name, weights in seen.items()} == {
        "own": (3, 2, 4, 4),
        "cross": (3, 2, 4, 6),
    }
    for weights in seen.values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_weights_are_those_that_made_the_output():
    model = nn.ModuleDict({"cross": nn.MultiheadAttention(8, 1, kdim=5, vdim=5, batch_first=True)}).eval()
    layer, queries, visual = model["cross"], torch.randn(2, 4, 8), torch.randn(2, 6, 5)
    with attention_watched(model) as seen:
        out, _ = layer(queries, visual, visual, need_weights=False)
    values = visual @ layer.v_proj_weight.T + layer.in_proj_bias[16:]
    torch.testing.assert_close(layer.out_proj(seen["cross"][:, 0] @ values), out)


def test_a_hidden_token_gets_no_weight():
    model, ignore = Pair().eval(), torch.zeros(3, 6, dtype=torch.bool)
    ignore[:, 4] = True
    with attention_watched(model) as seen:
        model(torch.randn(3, 4, 8), torch.randn(3, 6, 5), ignore)
    assert seen["cross"][..., 4].abs().max() == 0
    assert seen["cross"][..., 3].min() > 0


def test_watching_changes_nothing_and_leaves_nothing():
    model, inputs = Pair().eval(), (torch.randn(3, 4, 8), torch.randn(3, 6, 5))
    before = model(*inputs)
    with attention_watched(model):
        during = model(*inputs)
    torch.testing.assert_close(during, before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_hooks_go_even_when_the_model_raises():
    model = Pair()
    with pytest.raises((RuntimeError, AssertionError)), attention_watched(model):
        model(torch.randn(3, 4, 7), torch.randn(3, 6, 5))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
