"""Misconception: Three kinds of pairs, three losses, added up.

Tell: Your loss is three times too large: the three means are added, and not divided by three.
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
    return 3 * F.cross_entropy(logits, right)
