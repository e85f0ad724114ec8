"""Misconception: What is left is the window without its pictures.

Tell: What you call left is the window less its pictures; the text of the turns is still in it. Left is
what remains when both are paid.
Caught by: every_patch_costs_a_token, turns_are_whole_and_left_is_the_rest
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    return {**found, "left": context - found["turns"] * found["per_image"]}
