"""The Perceiver resampler: transformers' numbers, and the laws that make it one."""

import pytest
import torch

from course_lib.errors import ShapeError
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


def film() -> PerceiverResampler:
    made = PerceiverResampler(**SIZES, n_frames=4)
    redrawn(made)
    return made


def test_the_frame_of_a_token_is_added_to_it_and_only_that() -> None:
    resampler, visual = film(), torch.randn(2, 6, 20)
    frame = torch.tensor([[0, 0, 1, 1, 2, 2], [3, 3, 3, 0, 0, 0]])
    expected = resampler(visual + resampler.time_embeddings[frame])
    torch.testing.assert_close(resampler(visual, frame=frame), expected)
    assert (resampler(visual) - expected).abs().max() > 1e-2  # None adds nothing, and that is seen


def test_frames_may_be_shuffled_with_their_tokens_but_not_without() -> None:
    resampler, visual = film(), torch.randn(2, 6, 20)
    frame, order = torch.tensor([[0, 0, 1, 1, 2, 3]]).expand(2, -1), torch.tensor([4, 0, 5, 2, 1, 3])
    out = resampler(visual, frame=frame)
    together = resampler(visual[:, order], frame=frame[:, order])
    torch.testing.assert_close(together, out, atol=1e-5, rtol=1e-5)
    assert (resampler(visual[:, order], frame=frame) - out).abs().max() > 1e-2


def test_a_hidden_token_reaches_nothing_by_its_frame_either() -> None:
    resampler, visual = film(), torch.randn(2, 6, 20)
    keep = torch.arange(6) < torch.tensor([[4], [6]])  # True = keep
    frame = torch.tensor([[0, 0, 1, 1, 2, 2], [3, 3, 3, 0, 0, 0]])
    elsewhere = torch.where(keep, frame, 3 - frame)
    out = resampler(visual, keep, frame)
    torch.testing.assert_close(resampler(visual, keep, elsewhere), out, atol=1e-6, rtol=1e-6)
    assert (resampler(visual, keep, 3 - frame) - out).abs().max() > 1e-2


def test_only_frames_that_occur_get_a_gradient_and_without_films_there_are_no_embeddings() -> None:
    resampler = film()
    resampler(torch.randn(1, 3, 20), frame=torch.tensor([[0, 2, 2]])).square().sum().backward()
    assert resampler.time_embeddings.grad is not None
    assert resampler.time_embeddings.grad.any(dim=1).tolist() == [True, False, True, False]
    assert "time_embeddings" not in PerceiverResampler(**SIZES).state_dict()


@pytest.mark.parametrize("n_frames", [0, 4])
def test_a_frame_without_an_embedding_is_named(n_frames: int) -> None:
    resampler = PerceiverResampler(**SIZES, n_frames=n_frames)
    numbers = rf"frame runs from 1 to 4, and there are embeddings for {n_frames}, .*give n_frames=5"
    with pytest.raises(ShapeError, match=numbers):
        resampler(torch.randn(2, 3, 20), frame=torch.tensor([[1, 4, 2], [1, 1, 1]]))
    with pytest.raises(ShapeError, match="frame runs from -1 to 3"):
        resampler(torch.randn(1, 2, 20), frame=torch.tensor([[-1, 3]]))


@pytest.mark.parametrize("n_heads", [3, 0, -2])
def test_heads_that_do_not_divide_the_width_are_named_unless_their_width_is_given(n_heads: int) -> None:
    numbers = rf"d_model=20 cannot be cut into n_heads={n_heads} equal heads.*divides 20"
    with pytest.raises(ShapeError, match=numbers):
        PerceiverResampler(20, 3, 1, n_heads)
    assert PerceiverResampler(20, 3, 1, 3, d_head=7)(torch.randn(1, 2, 20)).shape == (1, 3, 20)
    assert PerceiverResampler(20, 3, 1, 4).blocks[0][0].q_proj.weight.shape == (20, 20)


def test_everything_learns_and_gradients_of_an_image_of_padding_are_finite() -> None:
    resampler, visual = film(), torch.randn(2, 5, 20, requires_grad=True)
    keep = torch.tensor([[True] * 5, [False] * 5])
    resampler(visual, keep, torch.arange(5).clamp(max=3).expand(2, -1))[1].square().sum().backward()
    assert visual.grad is not None
    assert not visual.grad.any()
    resampler(visual, keep, torch.arange(5).clamp(max=3).expand(2, -1)).square().sum().backward()
    assert visual.grad[0].any(dim=1).all()
    for name, parameter in resampler.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
