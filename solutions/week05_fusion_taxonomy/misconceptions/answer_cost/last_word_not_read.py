"""Misconception: The last word is written and not read.

Tell: You leave out the last written word. Here every written word goes through once: only then does the
model say that the answer has ended, and the next turn can look at all of it.
Caught by: written_words_go_through_one_by_one, the_cache_holds_keys_and_values,
written_words_ask_in_the_blocks, the_cache_holds_the_picture_once_a_block
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    earlier = reference(sizes, visual, text, max(0, written - 1), cross_every, d_visual, bytes_per_number)
    return {**earlier, "context": found["context"]}
