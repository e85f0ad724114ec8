"""Misconception: There must be as many pictures as the index counts.

Tell: You refuse rows that do not read all pictures. In a batch the row with the most pictures sets n, and a
piece of a text may well end before its last tag: too few pictures are an error, too many are not.
Caught by: an_index_beyond_the_pictures_is_an_error
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if int(index.max()) != n:
        raise ValueError(f"index {int(index.max())} and {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
