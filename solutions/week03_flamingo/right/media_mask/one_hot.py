"""Right: one-hot vectors, whose first column is thrown away, times the visual mask."""

import torch
import torch.nn.functional as F


def media_mask(index, visual_mask):
    most, n = int(index.max()), visual_mask.size(1)
    if most > n:
        raise ValueError(f"{most} > {n}")
    own = F.one_hot(index, n + 1)[..., 1:]
    return torch.einsum("btn,bnv->btnv", own, visual_mask.long()).flatten(2).bool()
