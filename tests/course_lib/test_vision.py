"""The vision and text towers compute what transformers' CLIP computes, from the same parameters."""

import math

import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from course_lib.errors import ShapeError
from course_lib.vision import (
    ContrastiveModel,
    TextTower,
    TowerSizes,
    VisionTower,
    contrastive_loss,
    to_pixels,
)

SIZES = TowerSizes(d_model=24, n_layers=3, n_heads=3, d_hidden=40)
VISION = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 20,
    "patch_size": 5,
    "attn_implementation": "eager",
}
TEXT = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "vocab_size": 31,
    "max_position_embeddings": 11,
    "bos_token_id": 3,
    "eos_token_id": 5,
    "pad_token_id": 0,
}


def randomised(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every parameter drawn anew: a fresh model hides a wrong bias or norm behind zeros and ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def towers():
    theirs = randomised(CLIPVisionModel(CLIPVisionConfig(**VISION)))
    ours = VisionTower(SIZES, image_size=20, patch_size=5).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


@torch.no_grad()
def test_every_layer_of_the_vision_tower_equals_transformers(towers):
    ours, theirs = towers
    pixels = drawn(2, 3, 20, 20)
    expected = theirs(pixels, output_hidden_states=True)
    states = ours.hidden_states(pixels)
    assert len(states) == len(expected.hidden_states) == 4
    for state, other in zip(states, expected.hidden_states, strict=True):
        torch.testing.assert_close(state, other, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(pixels), expected.pooler_output, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        ours.patch_tokens(pixels), expected.hidden_states[-2][:, 1:], atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_both_towers_and_the_loss_equal_transformers():
    theirs = randomised(
        CLIPModel(
            CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=13, attn_implementation="eager")
        )
    )
    text = TextTower(SIZES, n_words=31, most_words=11, end_id=5)
    ours = ContrastiveModel(VisionTower(SIZES, 20, 5), text, d_shared=13).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    ids = torch.tensor([[3, 7, 9, 12, 5, 0, 0], [3, 8, 5, 0, 0, 0, 0], [3, 30, 6, 7, 8, 9, 5]])
    pixels = drawn(3, 3, 20, 20)
    expected = theirs(input_ids=ids, pixel_values=pixels, return_loss=True)
    logits = ours(pixels, ids)
    torch.testing.assert_close(logits, expected.logits_per_text, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(contrastive_loss(logits), expected.loss, atol=1e-5, rtol=1e-5)


def test_identical_embeddings_cost_the_logarithm_of_the_batch():
    assert contrastive_loss(torch.zeros(7, 7)).item() == pytest.approx(math.log(7))


@torch.no_grad()
def test_the_shipped_size_is_a_transformers_checkpoint_too():
    ours = VisionTower()
    config = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=48,
        patch_size=8,
        attn_implementation="eager",
    )
    theirs = CLIPVisionModel(config).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    pixels = drawn(2, 3, 48, 48)
    torch.testing.assert_close(ours(pixels), theirs(pixels).pooler_output, atol=1e-5, rtol=1e-5)
    assert 700_000 < sum(parameter.numel() for parameter in ours.parameters()) < 900_000


def test_a_picture_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(ShapeError, match="3 x 48 x 48 and got 3 x 32 x 48"):
        VisionTower().patch_tokens(torch.zeros(1, 3, 32, 48))


def test_sizes_that_do_not_divide_are_named():
    with pytest.raises(ShapeError, match="d_model=24 cannot be cut into n_heads=5"):
        VisionTower(TowerSizes(d_model=24, n_heads=5))
    with pytest.raises(ShapeError, match="image_size=48 pixels cannot be cut into patches of 7"):
        VisionTower(image_size=48, patch_size=7)
    with pytest.raises(ShapeError, match="reads 11 words and got 12"):
        TextTower(SIZES, n_words=31, most_words=11, end_id=5)(torch.ones(1, 12, dtype=torch.long))


def test_pixels_run_from_minus_one_to_one_with_channels_first():
    pictures = torch.zeros(1, 4, 5, 3, dtype=torch.uint8)
    pictures[0, 2, 1, 0] = 255
    pixels = to_pixels(pictures)
    assert pixels.shape == (1, 3, 4, 5)
    assert pixels[0, 0, 2, 1] == 1
    assert pixels.sum() == 1 - (pixels.numel() - 1)
