"""Misconception: Labels that have the padding's id are of the padding.

Tell: You take away every label that has the padding's id. Where the sign for the end does both jobs, as
in many tokenisers, the model never learns to stop.
Caught by: the_padding_may_look_like_a_word
"""

from course_lib.interleave import interleave as reference


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    found = reference(documents, image_id, end_of_chunk_id, pad_id)
    return {**found, "labels": found["labels"].masked_fill(found["labels"] == pad_id, -100)}
