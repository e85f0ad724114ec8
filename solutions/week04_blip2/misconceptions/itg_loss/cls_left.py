"""Misconception: The text goes in as it is.

Tell: Your writer sees [CLS] in the first place. The stack has three tasks, and [DEC] is how it knows that
it should write.
Caught by: TODO
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, :-1], ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
