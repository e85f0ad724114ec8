"""Misconception: The text is counted once for the whole conversation.

Tell: You take text_per_turn off the window once. Every turn has its own text, so it belongs into the
price of a turn.
Caught by: every_patch_costs_a_token, turns_are_whole_and_left_is_the_rest
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    turns, left = divmod(max(0, context - text_per_turn), found["per_image"])
    return {**found, "turns": turns, "left": left}
