"""Misconception: The language model's layers see the picture's tokens in any case.

Tell: Where blocks read the picture you count its tokens in the stream as well. There the stream holds the
text alone; that is the point of it.
Caught by: a_visual_token_is_a_word_in_the_stream_only, the_context_is_what_stands_in_the_stream,
blocks_read_beside_the_stream, written_words_ask_in_the_blocks, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    words = visual + text if cross_every and min(visual, text) >= 0 else text
    return reference(sizes, visual, words, written, cross_every, d_visual, bytes_per_number)
