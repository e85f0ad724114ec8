"""Misconception: A tag is no text, so it is not kept.

Tell: Your keep is False at tags. The tag stays in the text as a token of its own: words look back at
it, and its picture hangs on it.
Caught by: a_shorter_document_is_filled_up, short_rows_are_filled_up_on_the_right,
the_padding_may_look_like_a_word
"""

from course_lib.interleave import interleave as reference


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    found = reference(documents, image_id, end_of_chunk_id, pad_id)
    return {**found, "keep": found["keep"] & (found["ids"] != image_id)}
