"""Misconception: A merged token is the upper left patch, repeated.

Tell: Your merged tokens have the right width, but repeat the upper left patch of the block in every
place. The other patches are lost.
Caught by: a_merged_token_holds_a_block_of_neighbours, a_square_grid_is_right, an_oblong_grid_is_right,
a_patch_lands_beside_its_neighbours, factor_one_changes_nothing, gradients_go_back_to_their_patches,
a_grid_that_does_not_fit_is_an_error, a_factor_that_does_not_divide_is_an_error
"""

from einops import rearrange, repeat


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    first = rearrange(visual, "b (rows columns) d -> b rows columns d", columns=columns)[
        :, ::factor, ::factor
    ]
    return repeat(first, "b row column d -> b (row column) (n d)", n=factor**2)
