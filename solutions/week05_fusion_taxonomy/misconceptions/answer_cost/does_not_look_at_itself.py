"""Misconception: A word looks at the words before it.

Tell: Each written word looks at one token too few. It sees itself as well: its own key is in the cache
before it looks.
Caught by: written_words_go_through_one_by_one, written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    fewer = written * sizes.n_layers * 4 * sizes.n_heads * sizes.d_head
    return {**found, "writing": found["writing"] - fewer}
