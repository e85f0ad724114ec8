"""Misconception: Nobody gives a negative number.

Tell: Numbers below zero are counted on, and give costs that look right or are below zero themselves. Raise
a ValueError that says which number was given.
Caught by: what_cannot_be_is_refused
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    if cross_every > 0 and d_visual < 1:
        raise ValueError("give d_visual, the width of what the blocks read")
    return reference(
        sizes, abs(visual), abs(text) or 1, abs(written), abs(cross_every), d_visual, abs(bytes_per_number)
    )
