"""Misconception: keep is for the attention alone.

Tell: Your writer learns to say the padding. It is masked in the attention, and must be left out of the loss
as well.
Caught by: TODO
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.clone()
    asked[:, 0] = write_id
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, :-1], ids[:, 1:]
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
