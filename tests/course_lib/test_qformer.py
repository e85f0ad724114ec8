"""A fixed number of questions: laws of the simplified Q-Former, and where it is BLIP-2's to 1e-5."""

import pytest
import torch
from torch import nn
from transformers import Blip2QFormerConfig
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerLayer, Blip2QFormerModel

from course_lib.errors import ShapeError
from course_lib.qformer import QFormerLayer, SimplifiedQFormer

SIZES = {"d_visual": 10, "d_text": 14, "n_queries": 5, "n_layers": 3, "n_heads": 2, "d_model": 12}
B, V = 3, 7
KEEP = torch.tensor([[True] * 7, [True, False] * 3 + [True], [False] * 5 + [True] * 2])


def redrawn(module: nn.Module, std: float = 0.3) -> nn.Module:
    """transformers' fresh queries are 0, its norms 1 and its biases 0: a fresh model proves nothing."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std)
    return module.eval()


@pytest.fixture
def qformer() -> SimplifiedQFormer:
    return redrawn(SimplifiedQFormer(**SIZES))  # type: ignore[return-value]


@pytest.fixture
def visual() -> torch.Tensor:
    return torch.randn(B, V, SIZES["d_visual"])


def blip2_config(n_layers: int) -> Blip2QFormerConfig:
    return Blip2QFormerConfig(
        hidden_size=SIZES["d_model"],
        num_hidden_layers=n_layers,
        num_attention_heads=SIZES["n_heads"],
        intermediate_size=4 * SIZES["d_model"],
        encoder_hidden_size=SIZES["d_visual"],
        cross_attention_frequency=2,
        layer_norm_eps=1e-5,  # ours is torch's; BLIP-2's is 1e-12
        use_qformer_text_input=False,
        attn_implementation="eager",
    )


def from_blip2(theirs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The key map: a Blip2QFormerLayer's names to ours."""
    ours = {}
    for kind, prefix in (("self", "attention"), ("cross", "crossattention")):
        if f"{prefix}.attention.query.weight" not in theirs:
            continue
        weights, biases = (
            [theirs[f"{prefix}.attention.{name}.{part}"] for name in ("query", "key", "value")]
            for part in ("weight", "bias")
        )
        if kind == "self":
            ours["self_attention.in_proj_weight"] = torch.cat(weights)
        else:
            ours |= {f"cross_attention.{n}_proj_weight": w for n, w in zip("qkv", weights, strict=True)}
        ours[f"{kind}_attention.in_proj_bias"] = torch.cat(biases)
        for part in ("weight", "bias"):
            ours[f"{kind}_attention.out_proj.{part}"] = theirs[f"{prefix}.output.dense.{part}"]
            ours[f"{kind}_norm.{part}"] = theirs[f"{prefix}.output.LayerNorm.{part}"]
    for part in ("weight", "bias"):
        ours[f"feed_forward.0.{part}"] = theirs[f"intermediate_query.dense.{part}"]
        ours[f"feed_forward.2.{part}"] = theirs[f"output_query.dense.{part}"]
        ours[f"feed_norm.{part}"] = theirs[f"output_query.LayerNorm.{part}"]
    return ours


@pytest.mark.parametrize("index", [0, 1], ids=["a layer that looks", "a layer that does not"])
def test_a_layer_is_blip2s(index: int, visual: torch.Tensor) -> None:
    theirs = redrawn(Blip2QFormerLayer(blip2_config(2), index))
    ours = QFormerLayer(SIZES["d_visual"], SIZES["n_heads"], SIZES["d_model"], looks=index % 2 == 0).eval()
    ours.load_state_dict(from_blip2(theirs.state_dict()), strict=True)
    queries = torch.randn(B, SIZES["n_queries"], SIZES["d_model"])
    expected = theirs(
        queries,
        attention_mask=torch.zeros(B, 1, 1, SIZES["n_queries"]),
        encoder_hidden_states=visual,
        encoder_attention_mask=torch.zeros(B, 1, 1, V).masked_fill(~KEEP[:, None, None], -1e9),
        query_length=SIZES["n_queries"],
    )
    torch.testing.assert_close(ours(queries, visual, KEEP), expected, atol=1e-5, rtol=0)


def test_the_stack_is_blip2s_but_for_the_norm_on_the_queries(visual: torch.Tensor) -> None:
    """BLIP-2 norms its queries before layer 0, ours does not: given the normed ones, they are one."""
    n_layers = 4
    theirs = redrawn(Blip2QFormerModel(blip2_config(n_layers)))
    ours = redrawn(SimplifiedQFormer(**{**SIZES, "n_layers": n_layers}))
    for i, layer in enumerate(theirs.encoder.layer):
        ours.layers[i].load_state_dict(from_blip2(layer.state_dict()), strict=True)
    queries = torch.randn(1, SIZES["n_queries"], SIZES["d_model"])
    with torch.no_grad():
        ours.queries.copy_(theirs.layernorm(queries)[0])
    expected = theirs(
        query_embeds=queries.expand(B, -1, -1),
        encoder_hidden_states=visual,
        encoder_attention_mask=KEEP.long(),
    ).last_hidden_state
    torch.testing.assert_close(ours(visual, KEEP), ours.to_text(expected), atol=1e-5, rtol=0)


def test_at_full_size_it_has_blip2s_parameters_but_for_that_norm() -> None:
    with torch.device("meta"):
        ours = SimplifiedQFormer(1408, 2560, n_queries=32, n_layers=12, n_heads=12, d_model=768)
        theirs = Blip2QFormerModel(Blip2QFormerConfig())
    layers = sum(p.numel() for p in ours.layers.parameters())
    assert sum(p.numel() for p in theirs.parameters()) == 105_137_664
    assert layers == 105_137_664 - 2 * 768
    assert sum(p.numel() for p in ours.parameters()) == layers + 32 * 768 + 768 * 2560 + 2560


def test_only_even_layers_look_at_the_picture(qformer: SimplifiedQFormer) -> None:
    looking = {name.split(".")[1] for name, _ in qformer.named_parameters() if "cross_attention" in name}
    assert looking == {"0", "2"}


def test_fresh_queries_are_small_and_all_different() -> None:
    queries = SimplifiedQFormer(**{**SIZES, "n_queries": 64, "d_model": 48}).queries
    assert queries.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.pdist(queries.detach()).min() > 0.1


def test_queries_that_start_equal_stay_equal(visual: torch.Tensor) -> None:
    """Why they are drawn at random: a consumer that is blind to order gives equal queries equal gradients."""
    qformer = SimplifiedQFormer(**SIZES)
    with torch.no_grad():
        qformer.queries.zero_()
    optimiser = torch.optim.Adam(qformer.parameters(), lr=0.01)
    for _ in range(5):
        optimiser.zero_grad()
        qformer(visual).mean(dim=1).square().sum().backward()
        optimiser.step()
    assert qformer.queries.abs().max() > 1e-3, "the queries did not move at all"
    assert torch.pdist(qformer.queries.detach()).max() < 1e-5


def test_the_number_of_tokens_out_does_not_depend_on_the_picture(qformer: SimplifiedQFormer) -> None:
    for v in (1, 7, 30):
        assert qformer(torch.randn(2, v, SIZES["d_visual"])).shape == (2, 5, 14)


def test_hidden_tokens_might_as_well_not_be_there(qformer: SimplifiedQFormer, visual: torch.Tensor) -> None:
    out = qformer(visual, KEEP)
    for i in range(B):
        alone = qformer(visual[i : i + 1, KEEP[i]])
        torch.testing.assert_close(out[i : i + 1], alone, atol=1e-5, rtol=0)
    assert not torch.allclose(out[1], qformer(visual)[1], atol=1e-2)


def test_a_picture_that_keeps_nothing_adds_nothing_and_hurts_nobody(
    qformer: SimplifiedQFormer, visual: torch.Tensor
) -> None:
    keep = KEEP.clone()
    keep[1] = False
    visual.requires_grad_()
    out = qformer(visual, keep)
    out.square().sum().backward()
    with torch.no_grad():
        for layer in qformer.layers:
            if layer.looks:
                layer.cross_attention.out_proj.weight.zero_()
                layer.cross_attention.out_proj.bias.zero_()
        torch.testing.assert_close(out[1:2], qformer(visual)[1:2], atol=1e-5, rtol=0)
    assert visual.grad is not None
    assert torch.isfinite(visual.grad).all()
    assert not visual.grad[1].any()
    assert visual.grad[0].any()


def test_the_picture_has_no_order_and_the_batch_no_say(
    qformer: SimplifiedQFormer, visual: torch.Tensor
) -> None:
    out = qformer(visual)
    torch.testing.assert_close(qformer(visual.flip(1)), out, atol=1e-5, rtol=0)
    torch.testing.assert_close(qformer(visual.flip(0)), out.flip(0), atol=1e-5, rtol=0)


def test_heads_that_do_not_divide_the_width_are_refused_with_both_numbers() -> None:
    with pytest.raises(ShapeError, match=r"d_model=12 .* n_heads=5"):
        SimplifiedQFormer(**{**SIZES, "n_heads": 5})
