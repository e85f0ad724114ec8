"""Right: padding has a group of its own, and sees itself alone; nobody asks what it sees."""

import torch
import torch.nn.functional as F


def qformer_mask(task, n_queries, text_keep):
    known = ["contrast", "match", "write"]
    if task not in known:
        raise ValueError(f"task is {task!r}, not one of {known}")
    real = F.pad(text_keep, (n_queries, 0), value=True)
    s = real.shape[1]
    both = torch.einsum("bi,bj->bij", real.int(), real.int()) > 0
    side = F.pad(torch.ones(s - n_queries), (n_queries, 0))
    if task == "contrast":
        both &= torch.outer(side, side).bool() | torch.outer(1 - side, 1 - side).bool()
    if task == "write":
        both[:, :n_queries, n_queries:] = False
        both[:, n_queries:, n_queries:] &= ~torch.triu(torch.ones(s - n_queries, s - n_queries), 1).bool()
    both.diagonal(dim1=1, dim2=2).fill_(True)
    return both
