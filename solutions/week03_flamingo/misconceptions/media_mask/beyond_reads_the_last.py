"""Misconception: An index beyond the pictures reads the last one.

Tell: Where a picture is missing, your tokens read the last one there is, which is somebody else's. Raise a
ValueError with both numbers.
Caught by: an_index_beyond_the_pictures_is_an_error
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    index = index.clamp(max=n)
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
