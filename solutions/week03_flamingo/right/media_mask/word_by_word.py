"""Right: loops over rows and words; slices say whose visual tokens are whose."""

import torch


def media_mask(index, visual_mask):
    b, n, v = visual_mask.shape
    keep = torch.zeros(b, index.shape[1], n * v, dtype=torch.bool)
    for row in range(b):
        for word, number in enumerate(index[row].tolist()):
            if number > n:
                raise ValueError(f"picture {number} of {n}")
            if number:
                keep[row, word, (number - 1) * v : number * v] = visual_mask[row, number - 1]
    return keep
