"""Misconception: True in the mask means padding.

Tell: Your keep is True at padding and False at words: it is inverted. In this course True = keep,
everywhere.
Caught by: rows_become_one_rectangle, keep_tells_padding_from_the_rest
"""

from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    return {**merged, "keep": ~merged["keep"]}
