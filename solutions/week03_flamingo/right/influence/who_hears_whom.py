"""Right: the causal table of who hears whom, times the table of who reads what."""

import torch
import torch.nn.functional as F


def influence(index, n_images):
    reads = F.one_hot(index, n_images + 1)[..., 1:]
    t = index.shape[1]
    hears = torch.ones(t, t).tril()
    reaches = torch.einsum("ij,bjn->bin", hears, reads.float())
    return {"reaches": reaches > 0.5, "reads": reads == 1}
