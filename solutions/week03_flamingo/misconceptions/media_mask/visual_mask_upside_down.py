"""Misconception: True in visual_mask marks the padding.

Tell: You keep the visual tokens where visual_mask is False. True says that the token is real.
Caught by: a_word_keeps_its_own_picture, a_token_keeps_its_own_picture_and_no_other,
a_token_without_a_picture_keeps_nothing, only_real_visual_tokens_are_kept,
a_picture_that_fills_the_batch_up_is_kept_by_nobody, visual_tokens_lie_picture_by_picture, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & ~visual_mask[:, None], "b t n v -> b t (n v)")
