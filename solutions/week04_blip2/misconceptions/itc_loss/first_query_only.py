"""Misconception: The first query stands for the picture, as [CLS] stands for a text.

Tell: Only your first query takes part. Among the queries none is a [CLS]: they have no order, and whichever
is nearest speaks for the picture.
Caught by: one_query_is_enough_for_a_pair, the_nearest_query_decides, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = pictures[:, 0] @ texts.T / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
