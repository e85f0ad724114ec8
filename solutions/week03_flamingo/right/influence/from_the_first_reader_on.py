"""Right: each picture reaches from its first reader to the end of the row."""

import torch


def influence(index, n_images):
    t = index.shape[1]
    reads = torch.stack([index == number for number in range(1, n_images + 1)], dim=2)
    places = torch.arange(t)[None, :, None]
    first = torch.where(reads, places, t).amin(dim=1, keepdim=True)
    return dict(reads=reads, reaches=places >= first)
