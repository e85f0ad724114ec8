"""Misconception: There is a block before every layer.

Tell: You count a block before each layer. cross_every says before which: Flamingo-80B has one in seven, and
pays a seventh.
Caught by: blocks_read_beside_the_stream, written_words_ask_in_the_blocks,
the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    return reference(sizes, visual, text, written, min(1, cross_every), d_visual, bytes_per_number)
