"""Misconception: Cross-entropy wants probabilities.

Tell: Your logits go through a softmax before F.cross_entropy, which takes one itself: even a sure judge
pays now.
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
    return F.cross_entropy(logits.softmax(dim=1), right)
