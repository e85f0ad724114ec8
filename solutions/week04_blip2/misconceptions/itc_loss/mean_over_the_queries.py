"""Misconception: A picture is as near to a text as its queries are on average.

Tell: Your loss is what the mean over the queries gives. Then every query has to fit every text; with the
largest, one query may speak of the ring and another of the square.
Caught by: one_query_is_enough_for_a_pair, the_nearest_query_decides, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).mean(dim=1) / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
