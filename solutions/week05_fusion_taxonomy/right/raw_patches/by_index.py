"""Right: for every number of every patch, the place in the flat picture that it comes from."""

import torch


def raw_patches(pictures, patch):
    b, c, height, width = pictures.shape
    if patch < 1:
        raise ValueError(f"a patch of {patch} pixels")
    if height % patch + width % patch:
        wanted = tuple(patch * round(side / patch) for side in (height, width))
        raise ValueError(f"cannot tile ({height}, {width}) with {patch}; try {wanted}")
    rows, columns = height // patch, width // patch
    row, col, y, x, channel = torch.meshgrid(
        *(torch.arange(n) for n in (rows, columns, patch, patch, c)), indexing="ij"
    )
    place = (channel * height + row * patch + y) * width + col * patch + x
    return pictures.reshape(b, -1)[:, place.reshape(-1)].view(b, rows * columns, -1)
