"""Misconception: An error says that something is wrong.

Tell: Your errors do not say what was given. Whoever reads them in a loop over forty settings cannot tell
which one it was: put the number into the message.
Caught by: a_pictures_keys_are_made_once, what_cannot_be_is_refused
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    try:
        return reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    except ValueError:
        raise ValueError("wrong sizes") from None
