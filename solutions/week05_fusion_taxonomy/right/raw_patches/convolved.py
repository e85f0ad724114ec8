"""Right: a convolution whose kernels each pick one number, with the patch as its stride."""

import torch
import torch.nn.functional as F


def raw_patches(pictures, patch):
    c, height, width = pictures.shape[1:]
    if patch < 1:
        raise ValueError(f"patch={patch}")
    off = [side - patch * round(side / patch) for side in (height, width)]
    if any(off):
        raise ValueError(f"h={height} w={width} p={patch}, nearest h={height - off[0]} w={width - off[1]}")
    picks = torch.eye(patch * patch * c, dtype=pictures.dtype, device=pictures.device)
    kernels = picks.reshape(-1, patch, patch, c).permute(0, 3, 1, 2)
    return F.conv2d(pictures, kernels, stride=patch).flatten(2).mT
