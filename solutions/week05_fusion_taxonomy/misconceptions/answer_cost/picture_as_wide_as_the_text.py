"""Misconception: A visual token is as wide as a word.

Tell: Your blocks make keys and values from tokens d_model wide. Beside the stream a picture keeps the width
it comes with, d_visual.
Caught by: a_pictures_keys_are_made_once, blocks_read_beside_the_stream
"""

from course_lib.answer_cost import answer_cost as reference


def answer_cost(sizes, visual, text, written, cross_every=0, d_visual=0, bytes_per_number=2):
    width = sizes.d_model if d_visual > 0 else d_visual
    return reference(sizes, visual, text, written, cross_every, width, bytes_per_number)
