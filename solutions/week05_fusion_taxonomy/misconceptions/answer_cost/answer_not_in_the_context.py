"""Misconception: The context is what the model is given.

Tell: Your context ends with the question. What the model writes stands in the same stream, behind it, and
takes room there as well.
Caught by: a_visual_token_is_a_word_in_the_stream_only, the_context_is_what_stands_in_the_stream
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    found = reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number)
    return {**found, "context": found["context"] - written}
