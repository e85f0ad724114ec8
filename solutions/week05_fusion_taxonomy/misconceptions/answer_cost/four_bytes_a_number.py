"""Misconception: A number has four bytes.

Tell: You count four bytes a number whatever is asked. Models are served in half precision, two bytes, and
bytes_per_number says which.
Caught by: the_cache_knows_heads_of_keys, the_cache_holds_keys_and_values,
the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    four = 4 if bytes_per_number > 0 else bytes_per_number
    return reference(sizes, visual, text, written, cross_every, d_visual, four)
