"""Misconception: Rows are filled up on the left, as for writing.

Tell: Your padding stands on the left. That is a habit for writing in batches; here rows are filled up
on the right.
Caught by: a_shorter_document_is_filled_up, only_what_a_picture_can_help_with_is_learned,
tags_words_and_ends_stand_in_order, short_rows_are_filled_up_on_the_right,
words_of_a_picture_are_learned_in_their_place, nothing_else_is_learned, the_padding_may_look_like_a_word
"""

import torch

from course_lib.interleave import interleave as reference


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    found = reference(documents, image_id, end_of_chunk_id, pad_id)
    shift = (~found["keep"]).sum(dim=1)
    rows = {name: [row.roll(int(by)) for row, by in zip(found[name], shift, strict=True)] for name in found}
    return {name: torch.stack(moved) for name, moved in rows.items()}
