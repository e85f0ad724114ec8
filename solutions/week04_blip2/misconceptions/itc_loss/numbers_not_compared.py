"""Misconception: If the numbers do not fit, torch will say so.

Tell: Your function leaves it to torch to notice that pictures and texts are not as many. What it says then is
about targets out of bounds, not about pairs.
Caught by: unequal_numbers_are_refused
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).amax(dim=1) / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
