"""Misconception: A mask is made of ones and zeros.

Tell: Your keep holds numbers. Torch takes numbers in a mask for something to add to the scores, so ours
are of type bool.
Caught by: a_shorter_document_is_filled_up, short_rows_are_filled_up_on_the_right
"""

from course_lib.interleave import interleave as reference


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    found = reference(documents, image_id, end_of_chunk_id, pad_id)
    return {**found, "keep": found["keep"].long()}
