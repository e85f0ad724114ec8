"""Misconception: The picture comes from a frozen encoder, so it is detached.

Tell: Your loss stops the gradient before the picture. What reads the picture, the queries, is exactly what
should learn.
Caught by: the_picture_learns
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual.detach(), asked, keep)
    says, target = logits[:, :-1], ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
