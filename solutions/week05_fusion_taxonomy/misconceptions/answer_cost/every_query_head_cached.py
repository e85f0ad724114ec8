"""Misconception: Every head has keys and values of its own, so all heads are cached.

Tell: You cache n_heads heads. Where several query heads share one head of keys, as in Llama 3, there are
only n_kv_heads to keep: that is what sharing is for.
Caught by: the_cache_knows_heads_of_keys, the_cache_holds_keys_and_values,
the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    return {**found, "cache_bytes": found["cache_bytes"] * sizes.n_heads // sizes.n_kv_heads}
