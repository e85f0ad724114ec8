"""The Perceiver resampler: transformers' numbers, and the laws that make it one."""

import pytest
import torch

from course_lib.resampler import PerceiverResampler

SIZES = {"d_model": 20, "n_latents": 3, "n_layers": 2, "n_heads": 2, "d_head": 7}


def redrawn(module: torch.nn.Module) -> torch.nn.Module:
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=draw))
    return module.eval()


@pytest.fixture
def resampler() -> PerceiverResampler:
    return redrawn(PerceiverResampler(**SIZES))


def test_it_equals_idefics_with_every_parameter_redrawn(resampler: PerceiverResampler) -> None:
    idefics = pytest.importorskip("transformers.models.idefics.perceiver")
    config = pytest.importorskip("transformers").IdeficsConfig(
        perceiver_config={"qk_layer_norms_perceiver": False},
        vision_config={"embed_dim": SIZES["d_model"]},
    )
    theirs = redrawn(idefics.IdeficsPerceiverResampler(config, 20, 2, 2, 7, 3))
    resampler.load_state_dict(theirs.state_dict(), strict=True)
    visual = torch.randn(4, 11, 20)
    torch.testing.assert_close(resampler(visual), theirs(visual), atol=1e-5, rtol=1e-5)


def test_the_order_of_visual_tokens_means_nothing_and_each_of_them_counts(
    resampler: PerceiverResampler,
) -> None:
    visual = torch.randn(2, 9, 20)
    out = resampler(visual)
    torch.testing.assert_close(resampler(visual.flip(1)), out, atol=1e-5, rtol=1e-5)
    for token in range(9):
        changed = visual.clone()
        changed[0, token, 3] += 1
        assert (resampler(changed)[0] - out[0]).abs().max() > 1e-4
        torch.testing.assert_close(resampler(changed)[1], out[1])


def test_what_is_hidden_reaches_no_latent_and_an_image_of_padding_stays_finite(
    resampler: PerceiverResampler,
) -> None:
    visual = torch.randn(3, 8, 20)
    keep = torch.arange(8) < torch.tensor([[8], [5], [0]])  # True = keep
    garbage = torch.where(keep[..., None], visual, torch.full_like(visual, 1e3))
    out = resampler(visual, keep)
    torch.testing.assert_close(resampler(garbage, keep), out, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out[1], resampler(visual[1:2, :5])[0], atol=1e-5, rtol=1e-5)
    assert out.isfinite().all()


def test_the_output_is_as_long_as_the_latents_whatever_goes_in(resampler: PerceiverResampler) -> None:
    for length in (1, 4, 40):
        assert resampler(torch.randn(2, length, 20)).shape == (2, 3, 20)


def test_latents_that_start_equal_stay_equal() -> None:
    """Nothing but their own values tells latents apart."""
    same = redrawn(PerceiverResampler(**SIZES))
    with torch.no_grad():
        same.latents.copy_(same.latents[:1].expand(3, -1))
    out = same(torch.randn(2, 6, 20))
    torch.testing.assert_close(out[:, 0], out[:, 2])
