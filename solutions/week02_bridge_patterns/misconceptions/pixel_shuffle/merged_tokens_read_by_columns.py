"""Misconception: The merged tokens follow each other column by column.

Tell: Every merged token is right, but they follow each other down the columns of the picture.
InternVL's first version had this slip. Which axis is outermost when you flatten rows and columns?
Caught by: a_square_grid_is_right, an_oblong_grid_is_right, factor_one_changes_nothing
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    return rearrange(
        visual, "b (row i column j) d -> b (column row) (i j d)", column=columns // factor, i=factor, j=factor
    )
