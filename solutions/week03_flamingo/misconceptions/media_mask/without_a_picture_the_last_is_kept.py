"""Misconception: index - 1 is a place in the list of pictures.

Tell: You look up place index - 1, and for index 0 that is -1: the last picture. So text before all pictures
reads the last one. Compare the numbers instead of looking them up, or treat 0 on its own.
Caught by: a_word_keeps_its_own_picture, a_token_without_a_picture_keeps_nothing,
only_real_visual_tokens_are_kept, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = torch.eye(n, dtype=torch.bool)[index - 1]
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
