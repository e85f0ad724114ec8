"""The two stand-ins of a gated block: attention with a mask for each token, and a feed-forward."""

import torch

from course_lib import stand_ins

B, T, S, D_TEXT, D_VISUAL, D_HIDDEN = 2, 7, 5, 12, 10, 9


def test_a_masked_read_listens_to_what_each_tokens_row_keeps_and_to_nothing_else() -> None:
    attention = stand_ins.build("masked_read", d_text=D_TEXT, d_visual=D_VISUAL)
    keep = torch.rand(1, T, S) < 0.5
    keep[0, 2] = False
    text, visual = torch.randn(1, T, D_TEXT), torch.randn(1, S, D_VISUAL)
    clean = attention(text, visual, keep)
    for j in range(S):
        other = visual.clone()
        other[0, j] += torch.randn(D_VISUAL)
        moved = (attention(text, other, keep) - clean).abs().amax(dim=2)[0] > 1e-6
        assert torch.equal(moved, keep[0, :, j])


def test_a_masked_read_is_zero_with_finite_gradients_for_a_token_that_keeps_nothing() -> None:
    attention = stand_ins.build("masked_read", d_text=D_TEXT, d_visual=D_VISUAL)
    keep = torch.ones(B, T, S, dtype=torch.bool)
    keep[1, 3] = False
    text, visual = torch.randn(B, T, D_TEXT), torch.randn(B, S, D_VISUAL, requires_grad=True)
    read = attention(text, visual, keep)
    read.sum().backward()
    assert not read[1, 3].any()
    assert read[1, 4].any()
    assert visual.grad is not None
    assert bool(visual.grad.isfinite().all())


def test_without_a_mask_everything_is_kept() -> None:
    attention = stand_ins.build("masked_read", d_text=D_TEXT, d_visual=D_VISUAL)
    text, visual = torch.randn(B, T, D_TEXT), torch.randn(B, S, D_VISUAL)
    torch.testing.assert_close(
        attention(text, visual), attention(text, visual, torch.ones(B, T, S, dtype=torch.bool))
    )


def test_the_feed_forward_takes_each_token_by_itself() -> None:
    feed_forward = stand_ins.build("feed_forward", d_text=D_TEXT, d_hidden=D_HIDDEN)
    text = torch.randn(B, T, D_TEXT)
    torch.testing.assert_close(feed_forward(text)[:, 3], feed_forward(text[:, 3:4])[:, 0])
