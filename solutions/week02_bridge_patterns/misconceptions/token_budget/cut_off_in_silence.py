"""Misconception: Whole division takes care of sizes that do not fit.

Tell: Where sizes do not divide, // cuts off the edge of the picture and says nothing. Ask with % first,
and raise a ValueError that names the sizes.
Caught by: sizes_that_do_not_divide_are_an_error
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    side = image_size // patch_size
    if bridge == "pixel_shuffle":
        side = side // factor * factor
    return reference(bridge, side * patch_size, patch_size, context, text_per_turn, factor, n_queries)
