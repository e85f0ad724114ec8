"""Misconception: A wrong pair is a text with a wrong picture, and that is all.

Tell: Your judge sees 2b pairs: no text is ever the wrong one, and wrong_text is not used.
Caught by: TODO
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual[wrong_picture]]),
        torch.cat([ids, ids]),
        torch.cat([keep, keep]),
    )
    right = torch.cat([torch.ones(b), torch.zeros(b)]).long()
    return F.cross_entropy(logits, right)
