"""Misconception: Positions count from 1.

Tell: Your positions begin at 1, as keep.cumsum gives them. The language model was trained with a first
position of 0.
Caught by: positions_count_everything_that_is_kept
"""

from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    return {**merged, "positions": merged["keep"].long().cumsum(dim=1) * merged["keep"]}
