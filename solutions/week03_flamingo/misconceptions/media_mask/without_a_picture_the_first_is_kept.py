"""Misconception: Text before all pictures reads the first.

Tell: Your tokens of index 0 keep picture 1. 0 says none.
Caught by: a_word_keeps_its_own_picture, a_token_without_a_picture_keeps_nothing,
only_real_visual_tokens_are_kept, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index.clamp(min=1)[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
