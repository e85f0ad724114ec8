"""Misconception: The second logit alone says whether a pair matches.

Tell: Your loss looks at the logit for a match alone, through a sigmoid. The head has two logits, and the
softmax over both is the answer.
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
    return F.binary_cross_entropy_with_logits(logits[:, 1], right.float())
