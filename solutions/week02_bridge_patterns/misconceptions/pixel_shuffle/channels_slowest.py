"""Misconception: The channel is the slowest axis inside a merged token, as in F.pixel_unshuffle.

Tell: Your merged tokens hold the right patches in the order (c, i, j): channel 0 of all patches, then
channel 1. That is F.pixel_unshuffle's order. Models that merge tokens keep each patch together, (i, j,
c).
Caught by: a_square_grid_is_right, an_oblong_grid_is_right
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    return rearrange(
        visual, "b (row i column j) d -> b (row column) (d i j)", column=columns // factor, i=factor, j=factor
    )
