"""Right: a matrix that says which share each patch has in each cell, and one product."""

import torch
from torch import einsum


def shares(n, side):
    """share[s, n]: of place n in part s, along one axis."""
    share = torch.zeros(side, n)
    share[torch.arange(n) * side // n, torch.arange(n)] = side / n
    return share


def thumbnail(visual, grid, side):
    (rows, columns), v = grid, visual.shape[1]
    if rows * columns != v:
        raise ValueError(f"{v} tokens were given for {rows * columns} places ({rows} x {columns}).")
    fits = {n for n in range(1, 1 + min(rows, columns)) if not (rows % n or columns % n)}
    if side not in fits:
        nearest = sorted(fits, key=lambda n: abs(side - n))[0]
        raise ValueError(f"{side=} for {rows=} and {columns=}: allowed are divisors of both, say {nearest}.")
    picture = visual.unflatten(1, (rows, columns))
    found = einsum("sy,tx,byxd->bstd", shares(rows, side), shares(columns, side), picture)
    return found.flatten(1, 2)
