"""Misconception: A token reads all pictures up to its own.

Tell: Your mask says `>=` where `==` belongs, so a token keeps its own picture and every earlier one. That
is what a token comes to know in the end, through self-attention; cross-attention reads the latest picture
only.
Caught by: a_word_keeps_its_own_picture, a_token_keeps_its_own_picture_and_no_other,
only_real_visual_tokens_are_kept, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] >= torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
