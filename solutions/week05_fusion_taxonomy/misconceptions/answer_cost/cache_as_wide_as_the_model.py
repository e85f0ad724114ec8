"""Misconception: A key is as wide as a token.

Tell: You cache d_model numbers for a key. A key is as wide as the heads of keys together, n_kv_heads times
d_head, and that may be less or more than d_model.
Caught by: the_cache_knows_heads_of_keys, the_cache_holds_keys_and_values,
the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    width = sizes.n_kv_heads * sizes.d_head
    return {**found, "cache_bytes": found["cache_bytes"] // width * sizes.d_model}
