"""Misconception: Each picture has to find its text, and that is all.

Tell: Your loss goes along the rows alone. A text that fits every picture costs nothing then; the columns are
the other half.
Caught by: both_sides_seek, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).amax(dim=1) / temperature
    right = torch.arange(len(logits))
    return F.cross_entropy(logits, right, label_smoothing=smoothing)
