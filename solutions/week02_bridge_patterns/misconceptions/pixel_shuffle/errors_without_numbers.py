"""Misconception: An error that says what is wrong need not say how much.

Tell: Your values are right and you raise a ValueError, but its message lacks the number that was asked for:
how many tokens there were, or which factor does not divide. Whoever reads it wants to know just that.
Caught by: a_grid_that_does_not_fit_is_an_error, a_factor_that_does_not_divide_is_an_error
"""

from course_lib.projectors import pixel_shuffle as reference


def pixel_shuffle(visual, grid, factor):
    if grid[0] * grid[1] != visual.shape[1] or grid[0] % factor or grid[1] % factor:
        raise ValueError("the grid does not fit")
    return reference(visual, grid, factor)
