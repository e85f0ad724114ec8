"""Misconception: The loss is summed over the pairs.

Tell: Your loss grows with the batch: it is the sum over 3b pairs. The mean is asked for, so that a larger
batch is no larger mistake.
Caught by: TODO
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual, visual[wrong_picture]]),
        torch.cat([ids, ids[wrong_text], ids]),
        torch.cat([keep, keep[wrong_text], keep]),
    )
    right = torch.cat([torch.ones(b), torch.zeros(2 * b)]).long()
    return F.cross_entropy(logits, right, reduction="sum")
