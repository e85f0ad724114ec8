"""Misconception: A mask is 0 where it keeps and minus infinity where it hides.

Tell: You return what is added to the scores. Here masks are boolean, True = keep.
Caught by: the_media_mask_has_a_column_for_each_visual_token, a_word_keeps_its_own_picture,
a_token_keeps_its_own_picture_and_no_other, a_token_without_a_picture_keeps_nothing,
only_real_visual_tokens_are_kept, a_picture_that_fills_the_batch_up_is_kept_by_nobody,
visual_tokens_lie_picture_by_picture, rows_do_not_mix, the_mask_is_boolean
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    kept = rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
    return torch.zeros(kept.shape).masked_fill(~kept, float("-inf"))
