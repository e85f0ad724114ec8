"""Misconception: Without a width the picture costs nothing.

Tell: Blocks without d_visual give a number that looks right and has lost the picture's keys and values.
Raise a ValueError that names d_visual.
Caught by: a_pictures_keys_are_made_once, what_cannot_be_is_refused
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    if cross_every > 0 and d_visual < 1:
        d_visual = 1
    return reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
