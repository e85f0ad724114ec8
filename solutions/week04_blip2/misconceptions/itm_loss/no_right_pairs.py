"""Misconception: Only the drawn pairs are judged.

Tell: Your judge sees 2b pairs and not one of them matches: it need only say no. The right pairs belong in
the batch.
Caught by: TODO
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual[wrong_picture]]),
        torch.cat([ids[wrong_text], ids]),
        torch.cat([keep[wrong_text], keep]),
    )
    right = torch.zeros(2 * b).long()
    return F.cross_entropy(logits, right)
