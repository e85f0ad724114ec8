"""Misconception: A loss is summed over the batch.

Tell: Your cross-entropies are sums over the batch. With the mean, the loss and the learning rate do not
depend on its size.
Caught by: nothing_to_tell_apart_costs_log_b, one_query_is_enough_for_a_pair, the_nearest_query_decides,
the_temperature_divides, both_sides_seek, smoothing_is_a_share, everything_together_learns
"""

import torch
import torch.nn.functional as F


def itc_loss(pictures, texts, temperature, smoothing=0.1):
    if len(pictures) != len(texts):
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts are no pairs.")
    pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
    logits = torch.einsum("bqe,ke->bqk", pictures, texts).amax(dim=1) / temperature
    right = torch.arange(len(logits))
    rows = F.cross_entropy(logits, right, label_smoothing=smoothing, reduction="sum")
    columns = F.cross_entropy(logits.T, right, label_smoothing=smoothing, reduction="sum")
    return (rows + columns) / 2
