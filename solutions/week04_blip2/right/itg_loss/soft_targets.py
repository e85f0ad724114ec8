"""Right: targets as distributions, weighed by keep, and one einsum; the last place gets a dummy target."""

import torch
import torch.nn.functional as F


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids.index_fill(1, torch.tensor([0]), write_id)
    logs = writing_logits(visual, asked, keep).log_softmax(-1)
    n_words = logs.shape[-1]
    wanted = F.one_hot(ids.roll(-1, dims=1), n_words) * (1 - smoothing) + smoothing / n_words
    counted = keep.roll(-1, dims=1).to(logs.dtype)
    counted[:, -1] = 0
    return -torch.einsum("btw,btw,bt->", wanted, logs, counted) / counted.sum()
