"""Right: F.unfold, which orders channels first, brought into order."""

import torch.nn.functional as F
from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    picture = rearrange(visual, "b (row column) d -> b d row column", row=rows)
    blocks = F.unfold(picture, kernel_size=factor, stride=factor)  # b (d i j) blocks
    return rearrange(blocks, "b (d ij) blocks -> b blocks (ij d)", d=visual.shape[2])
