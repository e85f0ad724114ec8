"""Misconception: A turn is a picture.

Tell: Your turns hold a picture and no text. Question and answer stand in the window too: text_per_turn
tokens in every turn.
Caught by: every_patch_costs_a_token, turns_are_whole_and_left_is_the_rest
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    turns, left = divmod(context, found["per_image"])
    return {**found, "turns": turns, "left": left}
