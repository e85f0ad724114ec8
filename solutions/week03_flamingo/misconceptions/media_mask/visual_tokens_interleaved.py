"""Misconception: Along a row the first tokens of all pictures come first.

Tell: You laid the row out as (v n): the first visual token of every picture, then the second of every
picture. They lie picture by picture, (n v).
Caught by: a_word_keeps_its_own_picture, a_token_keeps_its_own_picture_and_no_other,
only_real_visual_tokens_are_kept, a_picture_that_fills_the_batch_up_is_kept_by_nobody,
visual_tokens_lie_picture_by_picture, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (v n)")
