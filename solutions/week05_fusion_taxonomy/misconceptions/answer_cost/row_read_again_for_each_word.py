"""Misconception: A language model reads the whole row for each word it writes.

Tell: For each written word you pay for the whole row again. That is writing without a cache: what has been
read is kept, and the new word goes through alone.
Caught by: a_pictures_keys_are_made_once, written_words_go_through_one_by_one,
written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    rows = (
        reference(sizes, visual, text + k, 0, cross_every, d_visual, bytes_per_number)["prefill"]
        for k in range(1, written + 1)
    )
    return {**found, "writing": sum(rows)}
