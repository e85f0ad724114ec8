"""Misconception: Division gives the number of turns.

Tell: Your numbers are not whole: / gives a fraction, also where it divides evenly. Turns are counted,
with // or divmod.
Caught by: every_patch_costs_a_token, turns_are_whole_and_left_is_the_rest
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    turns = context / (found["per_image"] + text_per_turn)
    return {**found, "turns": turns, "left": context - turns * (found["per_image"] + text_per_turn)}
