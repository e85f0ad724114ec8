"""Misconception: Inside a block, patches are read column by column.

Tell: Inside a merged token your patches follow each other down the columns, (j, i, c). They are read
like a page: left to right, then the next line, (i, j, c).
Caught by: a_merged_token_holds_a_block_of_neighbours, a_square_grid_is_right, an_oblong_grid_is_right
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    return rearrange(
        visual, "b (row i column j) d -> b (row column) (j i d)", column=columns // factor, i=factor, j=factor
    )
