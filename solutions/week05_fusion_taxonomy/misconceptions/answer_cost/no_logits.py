"""Misconception: The output layer is small.

Tell: You leave out the logits. They are one product of a token with the whole vocabulary, and a written
word pays it too.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    one = 2 * sizes.d_model * sizes.n_words
    return {**found, "prefill": found["prefill"] - one, "writing": found["writing"] - written * one}
