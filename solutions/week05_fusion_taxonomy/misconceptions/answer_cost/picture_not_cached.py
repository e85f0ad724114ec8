"""Misconception: What is not in the stream is not in the cache.

Tell: Where blocks read the picture you cache the stream alone. The blocks' keys and values have to be kept
too, or every written word would make them again.
Caught by: a_visual_token_is_a_word_in_the_stream_only, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    kept = 2 * sizes.n_kv_heads * sizes.d_head * bytes_per_number * sizes.n_layers * found["context"]
    return {**found, "cache_bytes": kept}
