"""Misconception: An index without a picture simply reads nothing.

Tell: Your mask is right where pictures and index fit, and stays silent where they do not: a tag whose
picture is missing reads nothing, and nobody learns of it. Raise a ValueError with both numbers.
Caught by: an_index_beyond_the_pictures_is_an_error
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
