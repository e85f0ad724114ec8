"""Misconception: The targets are hard.

Tell: Your targets are not smoothed: the argument is never used.
Caught by: smoothing_is_spread_over_all_words
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, :-1], ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten())
