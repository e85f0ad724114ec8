"""Misconception: There is one cache.

Tell: You cache keys and values once for the model. Every layer makes its own from what reaches it, so every
layer keeps its own.
Caught by: the_cache_holds_keys_and_values, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    kept = 2 * sizes.n_kv_heads * sizes.d_head * bytes_per_number
    return {**found, "cache_bytes": found["cache_bytes"] - kept * (sizes.n_layers - 1) * found["context"]}
