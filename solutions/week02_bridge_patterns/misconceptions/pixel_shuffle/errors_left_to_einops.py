"""Misconception: einops will complain if the sizes do not fit.

Tell: Your values are right, and the sizes are left to einops or reshape to complain about. Their errors
are no ValueError and speak of axes that the caller has never heard of; some wrong grids even fit by
accident.
Caught by: a_grid_that_does_not_fit_is_an_error, a_factor_that_does_not_divide_is_an_error
"""

from einops import rearrange


def pixel_shuffle(visual, grid, factor):
    return rearrange(
        visual, "b (row i column j) d -> b (row column) (i j d)", column=grid[1] // factor, i=factor, j=factor
    )
