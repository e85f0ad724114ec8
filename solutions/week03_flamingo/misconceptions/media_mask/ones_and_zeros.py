"""Misconception: A mask of ones and zeros does as well.

Tell: Your mask is right, but it is made of numbers. torch's attention adds numbers to the scores, so 0 and
1 hide next to nothing, and `~` of a number is no opposite. Return a boolean mask.
Caught by: the_media_mask_has_a_column_for_each_visual_token, the_mask_is_boolean
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)").long()
