"""Misconception: The queries of a picture are averaged into one vector, as one pools tokens.

Tell: Your queries are averaged into one vector before the comparison. 32 queries then say no more than one;
each is compared on its own, and the nearest counts.
Caught by: one_query_is_enough_for_a_pair, the_nearest_query_decides, length_does_not_matter,
everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures.mean(dim=1), dim=-1), F.normalize(texts, dim=-1)
    logits = pictures @ texts.T / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing)
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing)
    return (rows + columns) / 2
