"""Misconception: A reshape to the right shape merges neighbours.

Tell: Your merged tokens hold patches that follow each other in the list, all of one line. The shape is
right, the neighbours below are missing: a block has two sides, and needs a rearrangement before the
reshape.
Caught by: a_merged_token_holds_a_block_of_neighbours, a_square_grid_is_right, an_oblong_grid_is_right,
a_patch_lands_beside_its_neighbours, factor_one_changes_nothing
"""


def pixel_shuffle(visual, grid, factor):
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ValueError(f"{rows} x {columns} patches are not {visual.shape[1]} tokens")
    if rows % factor or columns % factor:
        raise ValueError(f"factor {factor} does not divide {rows} x {columns} patches")
    b, n, d = visual.shape
    return visual.reshape(b, n // factor**2, d * factor**2)
