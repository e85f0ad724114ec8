"""Misconception: Each written word caches the picture it has read.

Tell: Your cache grows by a whole picture for each written word. A word adds its own keys and values in the
stream's layers; the picture's stay as they are, once a block.
Caught by: the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    blocks = -(-sizes.n_layers // cross_every) if cross_every else 0
    again = blocks * 2 * visual * sizes.n_kv_heads * sizes.d_head * bytes_per_number
    return {**found, "cache_bytes": found["cache_bytes"] + written * again}
