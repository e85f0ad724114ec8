"""Misconception: A feed-forward has three matrices.

Tell: You count three matrices in every feed-forward. A gated one, SwiGLU, has three; a plain one, as in
OPT, has two. sizes.gated says which.
Caught by: reading_is_one_pass, written_words_go_through_one_by_one, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks
"""

from dataclasses import replace

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    return reference(
        replace(sizes, gated=True), visual, text, written, cross_every, d_visual, bytes_per_number
    )
