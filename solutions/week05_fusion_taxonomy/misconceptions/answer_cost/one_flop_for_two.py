"""Misconception: A multiply-add is one operation.

Tell: Your FLOPs are half of ours. A multiplication and its addition are two, here as in torch's counter;
papers that count one say MACs.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    return {**found, "prefill": found["prefill"] // 2, "writing": found["writing"] // 2}
