"""Misconception: Placeholders are overwritten by 0 in the ids.

Tell: You overwrite the placeholders in the caller's ids. The next epoch then finds text without
pictures. Work on a copy, or pick the words with a mask.
Caught by: what_it_was_given_stays_as_it_was
"""

from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    for ids in input_ids:
        ids[ids == image_id] = 0
    return merged
