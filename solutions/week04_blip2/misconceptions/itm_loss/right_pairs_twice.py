"""Misconception: Two wrong pairs call for two right ones.

Tell: Your batch holds each right pair twice, so that half of the pairs match. Three pairs are asked for,
one in three matches.
Caught by: TODO
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual, visual, visual[wrong_picture]]),
        torch.cat([ids, ids, ids[wrong_text], ids]),
        torch.cat([keep, keep, keep[wrong_text], keep]),
    )
    right = torch.cat([torch.ones(2 * b), torch.zeros(2 * b)]).long()
    return F.cross_entropy(logits, right)
