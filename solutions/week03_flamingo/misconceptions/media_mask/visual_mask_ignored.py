"""Misconception: All visual tokens of a picture are real.

Tell: You never ask visual_mask: padding and pictures that only fill the batch up are read like real ones.
Caught by: a_word_keeps_its_own_picture, only_real_visual_tokens_are_kept,
a_picture_that_fills_the_batch_up_is_kept_by_nobody, rows_do_not_mix
"""

import torch


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return own.repeat_interleave(visual_mask.shape[2], dim=2)
