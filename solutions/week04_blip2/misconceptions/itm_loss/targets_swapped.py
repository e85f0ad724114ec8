"""Misconception: Class 0 means that a pair matches.

Tell: Your targets say 0 for a pair that matches. The two logits are (does not match, matches), so a match
is class 1.
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
    right = torch.cat([torch.zeros(b), torch.ones(2 * b)]).long()
    return F.cross_entropy(logits, right)
