"""Right: under write each token gets a place in a queue, all queries the first; who stands behind sees."""

import torch
from einops import rearrange


def qformer_mask(task, n_queries, text_keep):
    b, t = text_keep.shape
    s = n_queries + t
    place = (torch.arange(s) - n_queries + 1).clamp(min=0)
    if task == "match":
        hidden = torch.zeros(s, s)
    elif task == "contrast":
        hidden = ((place > 0).float()[:, None] - (place > 0).float()[None, :]).abs()
    elif task == "write":
        hidden = (rearrange(place, "j -> 1 j") > rearrange(place, "i -> i 1")).float()
    else:
        raise ValueError(f"{task!r} is no task; there are contrast, match, write")
    scores = torch.zeros(b, s, s).masked_fill(hidden.bool(), -torch.inf)
    scores[:, :, n_queries:].masked_fill_(~text_keep.unsqueeze(1), -torch.inf)
    scores[:, range(s), range(s)] = 0
    return scores == 0
