"""Right: torch's pixel_unshuffle, with its channels brought into order."""

import torch.nn.functional as F


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    b, _, d = visual.shape
    picture = visual.transpose(1, 2).reshape(b, d, rows, columns)
    merged = F.pixel_unshuffle(picture, factor)  # b (c i j) row column
    merged = merged.reshape(b, d, factor * factor, -1).permute(0, 3, 2, 1)
    return merged.reshape(b, -1, factor * factor * d)
