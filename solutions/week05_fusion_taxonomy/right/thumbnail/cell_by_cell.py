"""Right: a loop over cells, and in each over its patches."""

import torch


def thumbnail(visual, grid, side):
    rows, columns = grid
    if visual.size(1) != rows * columns:
        raise ValueError(f"grid {grid} holds {rows * columns}, got {visual.size(1)}")
    if side <= 0 or rows % side > 0 or columns % side > 0:
        near, distance = 1, abs(1 - side)
        for n in range(2, min(grid) + 1):
            if rows % n == 0 and columns % n == 0 and abs(n - side) < distance:
                near, distance = n, abs(n - side)
        raise ValueError(f"side {side} does not divide {rows} and {columns}; the nearest is {near}")
    high, wide = rows // side, columns // side
    cells = []
    for y in range(side):
        for x in range(side):
            total = 0
            for i in range(high):
                for j in range(wide):
                    total = total + visual[:, (y * high + i) * columns + x * wide + j]
            cells.append(total / (high * wide))
    return torch.stack(cells, dim=1)
