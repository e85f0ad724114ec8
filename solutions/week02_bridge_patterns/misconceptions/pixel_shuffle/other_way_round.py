"""Misconception: A shuffle spreads channels over space, as F.pixel_shuffle does.

Tell: You spread one token over several, as torch's F.pixel_shuffle does for larger pictures. Here it
goes the other way: several tokens become one. (The name is an accident of history; torch calls this
direction unshuffle.)
Caught by: tokens_get_fewer_and_wider, a_merged_token_holds_a_block_of_neighbours,
a_square_grid_is_right, an_oblong_grid_is_right, a_patch_lands_beside_its_neighbours,
factor_one_changes_nothing, gradients_go_back_to_their_patches, a_grid_that_does_not_fit_is_an_error,
a_factor_that_does_not_divide_is_an_error
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    if visual.shape[2] % factor**2:
        raise ValueError(f"{visual.shape[2]} channels are not blocks of {factor} x {factor}")
    return rearrange(
        visual, "b (row column) (i j d) -> b (row i column j) d", column=columns, i=factor, j=factor
    )
