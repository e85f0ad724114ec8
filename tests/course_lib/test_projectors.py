"""Projectors: their definitions, their counts, and the same numbers as transformers on re-drawn weights."""

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from course_lib.projectors import LinearProjector, MLPProjector, PixelShuffleProjector, pixel_shuffle

PARITY = 1e-5


def redrawn(module: nn.Module, std: float = 0.25) -> nn.Module:
    """Every parameter anew: fresh modules hide errors behind zeros and ones."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std)
    return module.eval()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# -- linear and MLP ------------------------------------------------------------------------------------------


def test_parameter_counts_at_llavas_sizes() -> None:
    with torch.device("meta"):
        linear, mlp = LinearProjector(1024, 4096), MLPProjector(1024, 4096)
        larger = MLPProjector(1024, 5120)
    assert count(linear) == 4_198_400
    assert count(mlp) == 20_979_712
    assert count(larger) == 31_467_520
    assert round(count(mlp) / count(linear), 2) == 5.00


def test_linear_projector_is_one_affine_map() -> None:
    projector = redrawn(LinearProjector(7, 11))
    visual = torch.randn(2, 5, 7)
    by_hand = visual @ projector.linear.weight.T + projector.linear.bias
    torch.testing.assert_close(projector(visual), by_hand, atol=1e-6, rtol=1e-6)


def test_mlp_projector_has_the_weights_and_the_output_of_transformers_llava() -> None:
    from transformers import LlavaConfig
    from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", "hidden_size": 24},
        text_config={"model_type": "llama", "hidden_size": 40, "num_attention_heads": 4},
    )
    theirs = redrawn(LlavaMultiModalProjector(config))
    ours = MLPProjector(24, 40)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    visual = 2 * torch.randn(3, 9, 24)
    torch.testing.assert_close(ours(visual), theirs(visual), atol=PARITY, rtol=0)


def test_the_tanh_gelu_would_not_pass_for_the_exact_one() -> None:
    projector = redrawn(MLPProjector(24, 40))
    visual = 2 * torch.randn(3, 9, 24)
    hidden = projector.linear_1(visual)
    approximate = projector.linear_2(F.gelu(hidden, approximate="tanh"))
    assert (projector(visual) - approximate).abs().max() > 10 * PARITY
    x = torch.linspace(-6, 6, 10_001, dtype=torch.float64)
    assert float((F.gelu(x) - F.gelu(x, approximate="tanh")).abs().max()) == pytest.approx(4.7e-4, abs=5e-6)


# -- pixel shuffle -------------------------------------------------------------------------------------------


def coordinates(rows: int, columns: int) -> torch.Tensor:
    """Tokens that say where they stand: 1 v (row, column)."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).float()[None]


def test_a_merged_token_holds_its_block_in_reading_order() -> None:
    merged = pixel_shuffle(coordinates(4, 6), (4, 6), 2)
    assert merged.shape == (1, 6, 8)
    assert merged[0, 0].tolist() == [0, 0, 0, 1, 1, 0, 1, 1]
    assert merged[0, 2].tolist() == [0, 4, 0, 5, 1, 4, 1, 5]
    assert merged[0, 3].tolist() == [2, 0, 2, 1, 3, 0, 3, 1]


@pytest.mark.parametrize("model", ["idefics3", "smolvlm"])
def test_order_and_weights_are_those_of_transformers(model: str) -> None:
    if model == "idefics3":
        from transformers import Idefics3Config as Config
        from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector as Connector
    else:
        from transformers import SmolVLMConfig as Config
        from transformers.models.smolvlm.modeling_smolvlm import SmolVLMConnector as Connector

    config = Config(
        vision_config={"hidden_size": 10},
        text_config={"model_type": "llama", "hidden_size": 14, "num_attention_heads": 7},
        scale_factor=2,
    )
    connector = redrawn(Connector(config))
    visual = torch.randn(3, 36, 10)
    torch.testing.assert_close(
        pixel_shuffle(visual, (6, 6), 2), connector.pixel_shuffle(visual, 2), atol=0, rtol=0
    )

    ours = PixelShuffleProjector(10, 14, (6, 6), factor=2)
    ours.load_state_dict(connector.modality_projection.state_dict(), strict=True)
    torch.testing.assert_close(ours(visual), connector(visual), atol=PARITY, rtol=0)


@pytest.mark.parametrize(("rows", "columns", "factor"), [(4, 6, 2), (6, 4, 2), (3, 9, 3), (5, 3, 1)])
def test_torchs_pixel_unshuffle_is_the_same_with_channels_first(rows: int, columns: int, factor: int) -> None:
    visual = torch.randn(2, rows * columns, 5)
    picture = rearrange(visual, "b (row column) d -> b d row column", row=rows)
    theirs = rearrange(
        F.pixel_unshuffle(picture, factor),
        "b (d i j) row column -> b (row column) (i j d)",
        i=factor,
        j=factor,
    )
    torch.testing.assert_close(pixel_shuffle(visual, (rows, columns), factor), theirs, atol=0, rtol=0)


def test_a_merge_then_a_projection_is_a_convolution_with_stride() -> None:
    projector = redrawn(PixelShuffleProjector(5, 7, (4, 6), factor=2))
    visual = torch.randn(2, 24, 5)
    kernel = rearrange(projector.proj.weight, "out (i j d) -> out d i j", i=2, j=2)
    picture = rearrange(visual, "b (row column) d -> b d row column", row=4)
    convolved = rearrange(F.conv2d(picture, kernel, stride=2), "b d row column -> b (row column) d")
    torch.testing.assert_close(projector(visual), convolved, atol=PARITY, rtol=0)


def test_a_reshape_is_not_a_pixel_shuffle() -> None:
    visual = torch.randn(1, 16, 3)
    assert not torch.equal(pixel_shuffle(visual, (4, 4), 2), visual.reshape(1, 4, 12))


@pytest.mark.parametrize(
    ("n_tokens", "grid", "factor", "named"),
    [
        (25, (4, 6), 2, ("4 rows", "6 columns", "24", "25")),
        (24, (4, 6), 4, ("factor 4", "4 rows", "6 columns")),
        (24, (6, 4), 4, ("factor 4", "6 rows", "4 columns")),
        (24, (4, 6), 0, ("factor 0",)),
    ],
)
def test_sizes_that_do_not_fit_are_named(
    n_tokens: int, grid: tuple[int, int], factor: int, named: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"\d") as caught:
        pixel_shuffle(torch.zeros(1, n_tokens, 3), grid, factor)
    assert [part for part in named if part not in str(caught.value)] == []
