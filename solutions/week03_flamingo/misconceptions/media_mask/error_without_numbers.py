"""Misconception: An error need not say how much.

Tell: You do raise a ValueError, but it lacks the index that was asked for or the number of pictures.
Whoever reads it wants to know just these two.
Caught by: an_index_beyond_the_pictures_is_an_error
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError("a picture is missing")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
