"""Misconception: The right text is right and every other one wrong.

Tell: Your loss takes no notice of `smoothing`. Among many texts some fit a picture nearly as well as its own;
a tenth of the target is spread for them.
Caught by: one_query_is_enough_for_a_pair, smoothing_is_a_share, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).amax(dim=1) / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right)
    columns = F.cross_entropy(logits.T, right)
    return (rows + columns) / 2
