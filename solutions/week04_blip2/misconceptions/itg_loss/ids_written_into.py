"""Misconception: The ids are mine to change.

Tell: You write write_id into the ids that you were given. Contrast and matching read the same ids and lose
their [CLS].
Caught by: the_ids_stay_as_they_were
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, :-1], ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
