"""Misconception: The targets are smoothed by 0.1, as in the contrastive loss.

Tell: Your targets are smoothed. The contrastive and the writing loss are, this one is not: yes or no.
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
    return F.cross_entropy(logits, right, label_smoothing=0.1)
