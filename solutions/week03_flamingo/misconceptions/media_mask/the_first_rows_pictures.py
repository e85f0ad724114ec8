"""Misconception: All rows have the same pictures.

Tell: Every row of yours asks the first row's visual_mask. Rows differ in how many pictures they have: keep
the batch axis.
Caught by: only_real_visual_tokens_are_kept, a_picture_that_fills_the_batch_up_is_kept_by_nobody,
rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:1, None], "b t n v -> b t (n v)")
