"""Right: torch's average pooling, on the tokens laid out as a picture."""

import math

import torch.nn.functional as F


def thumbnail(visual, grid, side):
    rows, columns = grid
    b, v, d = visual.shape
    if v != rows * columns:
        raise ValueError(f"{v} tokens do not fill {rows} x {columns} = {rows * columns} places")
    common = math.gcd(rows, columns)
    if side < 1 or common % side != 0:
        sides = [n for n in range(1, common + 1) if common % n == 0]
        sides.sort(key=lambda n: abs(n - side))
        raise ValueError(f"{rows} x {columns} cannot be cut into {side} x {side}; try {sides[0]}")
    picture = visual.transpose(1, 2).reshape(b, d, rows, columns)
    return F.avg_pool2d(picture, (rows // side, columns // side)).flatten(2).transpose(1, 2)
