"""Right: one uniform number for each row, and the place where the summed shares pass it."""

import torch
import torch.nn.functional as F


def sample_negatives(logits):
    b = logits.size(0)
    if b < 2:
        raise ValueError(f"{b} pair has no wrong partner")
    blocked = torch.full((b, b), 0.0).fill_diagonal_(float("-inf"))
    found = []
    for table in (logits, logits.t()):
        shares = F.softmax(table.double() + blocked, dim=-1)
        shares = torch.cumsum(shares, dim=-1)
        point = torch.rand(b, 1, dtype=torch.float64) * shares[:, -1:]
        found.append(torch.searchsorted(shares, point, right=True).flatten())
    return tuple(found)
