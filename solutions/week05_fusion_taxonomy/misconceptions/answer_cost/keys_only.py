"""Misconception: The cache holds keys.

Tell: You count keys and no values, or the other way round. Attention needs both again for every new word,
so both are kept.
Caught by: the_cache_holds_keys_and_values, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    return {**found, "cache_bytes": found["cache_bytes"] // 2}
