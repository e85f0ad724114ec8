"""Misconception: A merged token is the mean of its block.

Tell: You average each block, and the channels of its patches are gone: the token is not wider than
before. Merging keeps every number and lays the patches side by side; the next linear layer decides what
to do with them.
Caught by: tokens_get_fewer_and_wider, a_merged_token_holds_a_block_of_neighbours,
a_square_grid_is_right, an_oblong_grid_is_right, a_patch_lands_beside_its_neighbours,
factor_one_changes_nothing, gradients_go_back_to_their_patches, a_grid_that_does_not_fit_is_an_error,
a_factor_that_does_not_divide_is_an_error
"""

from einops import reduce


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    return reduce(
        visual,
        "b (row i column j) d -> b (row column) d",
        "mean",
        column=columns // factor,
        i=factor,
        j=factor,
    )
