"""Misconception: Whatever is no other bridge is a projector.

Tell: A bridge that nobody knows is counted like a projector. A misspelt name then gives a number that
looks right; raise a ValueError that names what was given.
Caught by: an_unknown_bridge_is_an_error
"""

from course_lib.token_budget import BRIDGES
from course_lib.token_budget import token_budget as reference


def token_budget(bridge, *sizes, **named):
    return reference(bridge if bridge in BRIDGES else "mlp", *sizes, **named)
