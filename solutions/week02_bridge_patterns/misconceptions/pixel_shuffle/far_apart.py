"""Misconception: A block takes every second patch, one from each quarter of the picture.

Tell: Your merged tokens hold patches from far apart: one from each quarter of the picture, instead of
four neighbours. In einops the order inside the brackets decides: (row i) and (i row) are not the same.
Caught by: a_merged_token_holds_a_block_of_neighbours, a_square_grid_is_right, an_oblong_grid_is_right,
a_patch_lands_beside_its_neighbours
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    return rearrange(
        visual, "b (i row j column) d -> b (row column) (i j d)", column=columns // factor, i=factor, j=factor
    )
