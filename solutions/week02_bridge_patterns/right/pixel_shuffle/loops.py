"""Right: loops over the blocks and their places; its errors are brief."""

import torch


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if visual.shape[1] != rows * columns:
        raise ValueError(f"{visual.shape[1]} tokens, {rows * columns} expected")
    if any(side % factor for side in grid):
        raise ValueError(f"factor = {factor}")
    merged = []
    for row in range(0, rows, factor):
        for column in range(0, columns, factor):
            block = [
                visual[:, (row + i) * columns + column + j] for i in range(factor) for j in range(factor)
            ]
            merged.append(torch.cat(block, dim=1))
    return torch.stack(merged, dim=1)
