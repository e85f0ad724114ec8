"""Misconception: Negatives need no gradient.

Tell: No gradient passes through your wrong pairs. Only the choice of the wrong ones goes without gradients;
judging them is what teaches.
Caught by: pictures_learn_from_every_pair
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    right = match_logits(visual, ids, keep)
    with torch.no_grad():
        wrong = torch.cat(
            [
                match_logits(visual, ids[wrong_text], keep[wrong_text]),
                match_logits(visual[wrong_picture], ids, keep),
            ]
        )
    target = torch.cat([torch.ones(b), torch.zeros(2 * b)]).long()
    return F.cross_entropy(torch.cat([right, wrong]), target)
