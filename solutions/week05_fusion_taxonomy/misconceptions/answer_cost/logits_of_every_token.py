"""Misconception: A pass says the next word at every token.

Tell: You count logits for every token of the prefill. All but the last would be thrown away; with a
vocabulary of a hundred thousand words nobody pays for that.
Caught by: reading_is_one_pass, blocks_read_beside_the_stream
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    silent = text - 1 + (0 if cross_every else visual)
    return {**found, "prefill": found["prefill"] + silent * 2 * sizes.d_model * sizes.n_words}
