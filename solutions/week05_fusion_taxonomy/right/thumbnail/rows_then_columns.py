"""Right: first along the rows, then along the columns, with views and adaptive pooling's own mean."""

import torch.nn.functional as F


def thumbnail(visual, grid, side):
    rows, columns = grid
    n = visual.shape[1]
    if n != rows * columns:
        raise ValueError(f"a grid of {rows} x {columns} has {rows * columns} places for {n} tokens")
    good = side > 0 and rows % side == 0 and columns % side == 0
    if not good:
        best = min((abs(k - side), k) for k in range(1, rows + 1) if rows % k == 0 == columns % k)[1]
        raise ValueError(f"side {side} on {rows} x {columns}: take {best}")
    upright = visual.view(len(visual), side, rows // side, columns, -1).mean(2)  # b side columns d
    flat = F.adaptive_avg_pool1d(upright.permute(0, 1, 3, 2).flatten(0, 1), side)  # (b side) d side
    return flat.unflatten(0, (len(visual), side)).permute(0, 1, 3, 2).flatten(1, 2)
