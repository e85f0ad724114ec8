"""Misconception: The query that is nearest to the picture's own text is the one that all texts are compared
with.

Tell: Your nearest query is chosen once, by the picture's own text, and then compared with all texts. The
choice is made anew for each pair; otherwise a wrong text never meets the query that speaks for it.
Caught by: the_nearest_query_decides, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    cosines = torch.einsum("bqe,ke->bqk", pictures, texts)
    rows = torch.arange(len(texts))
    nearest = cosines[rows, :, rows].argmax(dim=1)
    logits = cosines[rows, nearest] / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
