"""Right: one question for each entry, in loops."""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"shapes {list(keep.shape)} and {list(is_prefix.shape)} are not one")
    b, s = keep.shape
    table = torch.zeros(b, s, s).bool()
    for n in range(b):
        for i in range(s):
            for j in range(s):
                if i == j:
                    table[n, i, j] = True
                elif keep[n, j]:
                    table[n, i, j] = j < i or bool(is_prefix[n, i] and is_prefix[n, j])
    return table
