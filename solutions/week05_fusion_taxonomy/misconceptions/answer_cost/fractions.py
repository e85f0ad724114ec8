"""Misconception: Division gives whole numbers.

Tell: Some of your numbers are no whole numbers: / gives a fraction even where it divides evenly. Tokens,
FLOPs and bytes are counted.
Caught by: a_visual_token_is_a_word_in_the_stream_only, the_cache_knows_heads_of_keys,
a_pictures_keys_are_made_once, the_context_is_what_stands_in_the_stream, reading_is_one_pass,
written_words_go_through_one_by_one, the_cache_holds_keys_and_values, blocks_read_beside_the_stream,
written_words_ask_in_the_blocks, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    return {key: float(value) for key, value in found.items()}
