"""Misconception: A wrong pair is a picture with a wrong text, and that is all.

Tell: Your judge sees 2b pairs: no picture is ever the wrong one, and wrong_picture is not used.
Caught by: TODO
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual]),
        torch.cat([ids, ids[wrong_text]]),
        torch.cat([keep, keep[wrong_text]]),
    )
    right = torch.cat([torch.ones(b), torch.zeros(b)]).long()
    return F.cross_entropy(logits, right)
