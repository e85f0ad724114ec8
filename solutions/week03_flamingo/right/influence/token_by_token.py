"""Right: walk along each row and remember what has been read so far."""

import torch


def influence(index, n_images):
    reads, reaches = [], []
    for row in index.tolist():
        so_far = [False] * n_images
        for number in row:
            now = [k + 1 == number for k in range(n_images)]
            so_far = [old or new for old, new in zip(so_far, now, strict=True)]
            reads.append(now)
            reaches.append(so_far)
    shape = (*index.shape, n_images)
    return {"reads": torch.tensor(reads).view(shape), "reaches": torch.tensor(reaches).view(shape)}
