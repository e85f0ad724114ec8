"""Misconception: F.normalize takes the last axis of itself.

Tell: Your F.normalize has no dim. Its default is dim=1: for float[b q e] these are the queries, not the
width.
Caught by: one_query_is_enough_for_a_pair, the_nearest_query_decides, length_does_not_matter,
the_temperature_divides, both_sides_seek, smoothing_is_a_share, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures), F.normalize(texts)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).amax(dim=1) / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
