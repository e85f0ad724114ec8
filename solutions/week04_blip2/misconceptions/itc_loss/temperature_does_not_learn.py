"""Misconception: The temperature is a plain number by which one divides.

Tell: Your loss has the right value, but no gradient arrives at the temperature: float(...) or .item() cuts it
off.
Caught by: everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).amax(dim=1) / torch.as_tensor(temperature).detach()
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
