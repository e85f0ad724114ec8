"""Misconception: The cache is what the prefill left.

Tell: Your cache ends with the question. Each written word goes through the layers and leaves its keys and
values there too.
Caught by: the_cache_holds_keys_and_values, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    before = reference(sizes, visual, text, 0, cross_every, d_visual, bytes_per_number)
    return {**found, "cache_bytes": before["cache_bytes"]}
