"""Misconception: A token without a picture reads everything.

Tell: Your text without a picture keeps all of them, perhaps to keep the softmax from dividing 0 by 0. It
has to read nothing; the attention deals with empty rows, in exercise 5.
Caught by: a_word_keeps_its_own_picture, a_token_without_a_picture_keeps_nothing,
only_real_visual_tokens_are_kept, rows_do_not_mix
"""

import torch
from einops import rearrange


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = (index[:, :, None] == torch.arange(1, n + 1)) | (index == 0)[:, :, None]
    return rearrange(own[..., None] & visual_mask[:, None], "b t n v -> b t (n v)")
