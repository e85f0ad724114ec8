"""Misconception: Padding stands on the left, as for generation.

Tell: Your padding stands on the left. That is wanted when one generates in batches; here rows begin at
0 and padding follows them, as in training.
Caught by: words_and_visual_tokens_stand_in_order, each_picture_goes_to_its_own_placeholder,
labels_stay_with_their_words, keep_tells_padding_from_the_rest, positions_count_everything_that_is_kept,
a_row_is_the_same_alone, pictures_may_stand_anywhere
"""

import torch

from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    lengths = merged["keep"].sum(dim=1).tolist()

    def shifted(rows):
        return torch.stack([row.roll(len(row) - n, dims=0) for row, n in zip(rows, lengths, strict=True)])

    return {name: shifted(rows) for name, rows in merged.items()}
