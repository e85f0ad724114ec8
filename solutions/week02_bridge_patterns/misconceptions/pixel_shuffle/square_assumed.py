"""Misconception: Every picture is square, so the side is the root of the number of tokens.

Tell: You take the root of the number of tokens as the side of the grid, whatever grid you are given.
Pictures are not always square, and 4 x 6 patches have no whole root.
Caught by: tokens_get_fewer_and_wider, a_merged_token_holds_a_block_of_neighbours,
an_oblong_grid_is_right, a_patch_lands_beside_its_neighbours, factor_one_changes_nothing,
gradients_go_back_to_their_patches, a_grid_that_does_not_fit_is_an_error
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    side = int(visual.shape[1] ** 0.5)
    if side * side != visual.shape[1] or side % factor:
        raise ValueError(f"{visual.shape[1]} tokens are no square of blocks of {factor} x {factor}")
    return rearrange(
        visual, "b (row i column j) d -> b (row column) (i j d)", row=side // factor, i=factor, j=factor
    )
