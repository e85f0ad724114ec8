"""Right: the judge is asked three times, and the mean of three means of equally many pairs is the mean."""

import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    yes = wrong_text.new_ones(len(ids))
    right = F.cross_entropy(match_logits(visual, ids, keep), yes)
    text = F.cross_entropy(match_logits(visual, ids[wrong_text], keep[wrong_text]), yes * 0)
    picture = F.cross_entropy(match_logits(visual[wrong_picture], ids, keep), yes * 0)
    return (right + text + picture) / 3
