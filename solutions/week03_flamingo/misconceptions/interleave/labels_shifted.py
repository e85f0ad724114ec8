"""Misconception: The labels are shifted, so that each token learns the next.

Tell: Your labels stand one place too far left. The model shifts them itself; shifted twice, it learns
to skip a word.
Caught by: only_what_a_picture_can_help_with_is_learned, words_of_a_picture_are_learned_in_their_place,
nothing_else_is_learned, the_padding_may_look_like_a_word
"""

import torch

from course_lib.interleave import interleave as reference


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    found = reference(documents, image_id, end_of_chunk_id, pad_id)
    nothing = torch.full_like(found["labels"][:, :1], -100)
    return {**found, "labels": torch.cat([found["labels"][:, 1:], nothing], dim=1)}
