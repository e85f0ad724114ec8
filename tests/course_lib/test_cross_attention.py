"""The words ask, the picture answers: laws of the reference, and two independent oracles."""

import pytest
import torch
from torch import nn
from transformers import IdeficsConfig
from transformers.models.idefics.modeling_idefics import IdeficsAttention

from course_lib.cross_attention import CrossAttention

B, T, V = 3, 7, 5
SIZES = {"d_text": 11, "d_visual": 10, "n_heads": 3, "d_head": 4}


def redrawn(module: nn.Module, std: float = 0.3) -> nn.Module:
    """Fresh modules hide errors behind zeros and ones."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std)
    return module.eval()


@pytest.fixture
def attention() -> CrossAttention:
    return redrawn(CrossAttention(**SIZES))  # type: ignore[return-value]


@pytest.fixture
def text() -> torch.Tensor:
    return torch.randn(B, T, SIZES["d_text"])


@pytest.fixture
def visual() -> torch.Tensor:
    return torch.randn(B, V, SIZES["d_visual"])


KEEP = torch.tensor([[True, False, True, True, False], [True] * 5, [False, True, False, False, False]])


def test_it_has_the_parameters_of_its_size() -> None:
    with torch.device("meta"):
        attention = CrossAttention(4096, 1024, n_heads=16, d_head=64)
    assert sum(p.numel() for p in attention.parameters()) == 10_489_856
    assert {n: tuple(p.shape) for n, p in attention.named_parameters()} == {
        "q_proj.weight": (1024, 4096),
        "k_proj.weight": (1024, 1024),
        "v_proj.weight": (1024, 1024),
        "out_proj.weight": (4096, 1024),
        "out_proj.bias": (4096,),
    }


@pytest.mark.parametrize("mask", [None, KEEP], ids=["no mask", "mask"])
def test_it_agrees_with_idefics(mask: torch.Tensor | None, visual: torch.Tensor) -> None:
    """Idefics has heads of d_text / n_heads and no output bias: set both so, and they are one."""
    d_text, n_heads = 12, 3
    config = IdeficsConfig(
        hidden_size=d_text,
        num_attention_heads=n_heads,
        vision_config={"embed_dim": SIZES["d_visual"]},
        attn_implementation="eager",
    )
    theirs = redrawn(IdeficsAttention(d_text, n_heads, is_cross_attention=True, config=config, layer_idx=0))
    ours = redrawn(CrossAttention(d_text, SIZES["d_visual"], n_heads, d_head=d_text // n_heads))
    renamed = {name.replace("o_proj", "out_proj"): value for name, value in theirs.state_dict().items()}
    ours.load_state_dict({**renamed, "out_proj.bias": torch.zeros(d_text)}, strict=True)

    text = torch.randn(B, T, d_text)
    # Always an explicit mask: without one this layer is causal under sdpa.
    added = torch.zeros(B, 1, T, V)
    if mask is not None:
        added = added.masked_fill(~mask[:, None, None], torch.finfo(torch.float32).min)
    expected, _ = theirs(text, key_value_states=visual, attention_mask=added)
    assert expected.std() > 0.1, "the oracle's output is too flat to tell anything"
    torch.testing.assert_close(ours(text, visual, mask), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mask", [None, KEEP], ids=["no mask", "mask"])
def test_it_agrees_with_torch_where_torch_can_do_it(mask: torch.Tensor | None, visual: torch.Tensor) -> None:
    """nn.MultiheadAttention wants heads of d_text / n_heads and biases everywhere: set those to 0."""
    d_text, n_heads = 12, 3
    theirs = redrawn(nn.MultiheadAttention(d_text, n_heads, kdim=10, vdim=10, batch_first=True))
    ours = redrawn(CrossAttention(d_text, 10, n_heads, d_head=4))
    with torch.no_grad():
        theirs.in_proj_bias.zero_()
        for name in ("q", "k", "v"):
            getattr(ours, f"{name}_proj").weight.copy_(getattr(theirs, f"{name}_proj_weight"))
        ours.out_proj.load_state_dict(theirs.out_proj.state_dict())
    text = torch.randn(B, T, d_text)
    expected, _ = theirs(text, visual, visual, key_padding_mask=None if mask is None else ~mask)
    torch.testing.assert_close(ours(text, visual, mask), expected, atol=1e-5, rtol=0)


def test_two_keys_share_the_attention_as_the_formula_says() -> None:
    """One head of width 1, one word, two visual tokens: the weights can be worked out on paper."""
    attention = CrossAttention(d_text=1, d_visual=2, n_heads=1, d_head=1)
    with torch.no_grad():
        attention.q_proj.weight.copy_(torch.tensor([[1.0]]))
        attention.k_proj.weight.copy_(torch.tensor([[1.0, 0.0]]))
        attention.v_proj.weight.copy_(torch.tensor([[0.0, 1.0]]))
        attention.out_proj.weight.fill_(1.0)
        attention.out_proj.bias.zero_()
    # Keys 0 and ln 3, values 10 and 20: weights 1/4 and 3/4.
    visual = torch.tensor([[[0.0, 10.0], [torch.tensor(3.0).log().item(), 20.0]]])
    assert attention(torch.ones(1, 1, 1), visual).item() == pytest.approx(17.5, abs=1e-5)


def test_the_order_of_the_picture_does_not_matter(
    attention: CrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = attention(text, visual[:, order], KEEP[:, order])
    torch.testing.assert_close(shuffled, attention(text, visual, KEEP), atol=1e-5, rtol=0)


def test_hidden_tokens_might_as_well_not_be_there(
    attention: CrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    seen = attention(text, visual, KEEP)
    for i in range(B):
        alone = attention(text[i : i + 1], visual[i : i + 1, KEEP[i]])
        torch.testing.assert_close(seen[i : i + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_row_that_keeps_nothing_is_exactly_zero_in_every_precision(
    attention: CrossAttention, text: torch.Tensor, visual: torch.Tensor, dtype: torch.dtype
) -> None:
    keep = KEEP.clone()
    keep[1] = False
    out = attention.to(dtype)(text.to(dtype), visual.to(dtype), keep)
    assert torch.equal(out[1], torch.zeros(T, SIZES["d_text"], dtype=dtype))
    assert out[0].abs().max() > 0.1
    assert torch.isfinite(out).all()


def test_beside_a_row_that_keeps_nothing_gradients_are_finite_and_that_row_gets_none(
    attention: CrossAttention, text: torch.Tensor, visual: torch.Tensor
) -> None:
    keep = KEEP.clone()
    keep[1] = False
    text.requires_grad_()
    visual.requires_grad_()
    attention(text, visual, keep).square().sum().backward()
    assert text.grad is not None
    assert visual.grad is not None
    for gradient in (text.grad, visual.grad, *(p.grad for p in attention.parameters())):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.any()
    assert not text.grad[1].any()
    assert not visual.grad[1].any()
    assert not visual.grad[0, ~keep[0]].any()
