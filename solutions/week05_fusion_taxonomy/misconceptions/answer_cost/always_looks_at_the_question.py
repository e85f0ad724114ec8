"""Misconception: Every written word looks at what the prefill left.

Tell: All your written words cost the same. The second one looks at the first as well, the third at both:
the scores grow by one token a word.
Caught by: written_words_go_through_one_by_one, written_words_ask_in_the_blocks
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    one = reference(sizes, visual, text, min(1, written), cross_every, d_visual, bytes_per_number)["writing"]
    return {
        **reference(sizes, visual, text, written, cross_every, d_visual, bytes_per_number),
        "writing": written * one,
    }
