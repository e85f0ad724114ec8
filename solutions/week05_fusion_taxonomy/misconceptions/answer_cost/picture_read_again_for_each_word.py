"""Misconception: Each written word makes the picture's keys and values anew.

Tell: In the blocks, each written word pays for the picture's keys and values again. They do not depend on
the text: the prefill makes them once, and they are cached.
Caught by: a_pictures_keys_are_made_once, written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    blocks = -(-sizes.n_layers // cross_every) if cross_every else 0
    again = blocks * 2 * 2 * visual * d_visual * sizes.n_kv_heads * sizes.d_head
    return {**found, "writing": found["writing"] + written * again}
