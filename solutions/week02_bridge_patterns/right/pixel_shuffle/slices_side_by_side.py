"""Right: one slice for each place in a block, laid side by side."""

import torch


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    picture = visual.unflatten(1, (rows, columns))
    slices = [picture[:, i::factor, j::factor] for i in range(factor) for j in range(factor)]
    return torch.cat(slices, dim=-1).flatten(1, 2)
