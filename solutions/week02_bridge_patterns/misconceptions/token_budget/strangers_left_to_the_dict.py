"""Misconception: A dict will complain about a bridge it does not know.

Tell: A bridge that nobody knows ends in a KeyError. The caller asked for a ValueError, which says that
an argument is wrong rather than that a dict lacks something.
Caught by: an_unknown_bridge_is_an_error
"""

from course_lib.token_budget import BRIDGES
from course_lib.token_budget import token_budget as reference


def token_budget(bridge, *sizes, **named):
    known = {name: name for name in BRIDGES}
    return reference(known[bridge], *sizes, **named)
