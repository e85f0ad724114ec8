"""Misconception: A picture is there or not there.

Tell: You keep the whole of a picture as soon as one of its visual tokens is real. A picture may be partly
padding: visual_mask is asked token by token.
Caught by: a_word_keeps_its_own_picture, only_real_visual_tokens_are_kept, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(
        own[..., None] & visual_mask.any(dim=2, keepdim=True).expand_as(visual_mask)[:, None],
        "b t n v -> b t (n v)",
    )
