"""Misconception: The right pairs weigh as much as the wrong ones together.

Tell: Your loss is half the mean over right pairs and half the mean over wrong ones. Each of the 3b pairs
weighs the same.
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
    return (F.cross_entropy(logits[:b], right[:b]) + F.cross_entropy(logits[b:], right[b:])) / 2
