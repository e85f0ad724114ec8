"""Right: one patch after another, in loops over rows and columns."""

import torch


def raw_patches(pictures, patch):
    _, _, height, width = pictures.shape
    if patch < 1:
        raise ValueError(f"a patch has at least one pixel a side, and not {patch}")
    if height % patch or width % patch:
        best = [
            min((k * patch for k in (s // patch, s // patch + 1) if k), key=lambda n: abs(n - s))
            for s in (height, width)
        ]
        raise ValueError(f"{height}x{width} is not tiled by patches of {patch}; {best[0]}x{best[1]} would be")
    found = []
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            square = pictures[:, :, top : top + patch, left : left + patch]
            found.append(square.permute(0, 2, 3, 1).flatten(1))
    return torch.stack(found, dim=1)
