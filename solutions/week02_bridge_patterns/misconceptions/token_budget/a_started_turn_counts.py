"""Misconception: A turn that has begun counts.

Tell: Your number of turns is rounded up, or one too many. A turn that does not fit whole is cut in the
middle of a picture or an answer.
Caught by: every_patch_costs_a_token, turns_are_whole_and_left_is_the_rest
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    return {**found, "turns": found["turns"] + 1}
