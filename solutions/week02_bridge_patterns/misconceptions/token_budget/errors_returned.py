"""Misconception: What cannot be counted is None.

Tell: Where sizes do not divide, or the bridge is unknown, you return None or zeros instead of raising.
The next line would then fail at a place that has nothing to do with it.
Caught by: sizes_that_do_not_divide_are_an_error, an_unknown_bridge_is_an_error
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, *sizes, **named):
    try:
        return reference(bridge, *sizes, **named)
    except ValueError:
        return {"per_image": 0, "turns": 0, "left": 0}
