"""Misconception: A token says the one before it.

Tell: Your targets stand one place too early: each token says the one before it, which the writer has seen.
Caught by: TODO
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, 1:], asked[:, :-1].masked_fill(~keep[:, :-1], -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
