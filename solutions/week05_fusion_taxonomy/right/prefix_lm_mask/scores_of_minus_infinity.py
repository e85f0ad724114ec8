"""Right: scores of minus infinity for what is later, taken back for each row's prefix."""

import torch


def prefix_lm_mask(keep, is_prefix):
    if tuple(keep.shape) != tuple(is_prefix.shape):
        raise ValueError(f"{tuple(keep.shape)} is not {tuple(is_prefix.shape)}")
    b, s = keep.shape
    scores = torch.full((s, s), -torch.inf).triu(1).repeat(b, 1, 1)
    for row, mine in zip(scores, is_prefix, strict=True):
        inside = mine.nonzero().flatten()
        row[inside[:, None], inside] = 0
    scores.masked_fill_(~keep.unsqueeze(1), -torch.inf)
    scores.diagonal(dim1=1, dim2=2).zero_()
    return scores == 0
