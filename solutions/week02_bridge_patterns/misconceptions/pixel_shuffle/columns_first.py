"""Misconception: The grid is columns, then rows, like width and height.

Tell: You read the grid as columns, then rows. On a square grid nobody notices; on an oblong one the
lines are cut in the wrong places. A grid is (rows, columns), like a tensor's last two axes.
Caught by: a_merged_token_holds_a_block_of_neighbours, an_oblong_grid_is_right,
a_patch_lands_beside_its_neighbours, factor_one_changes_nothing
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    return rearrange(
        visual, "b (row i column j) d -> b (row column) (i j d)", column=rows // factor, i=factor, j=factor
    )
