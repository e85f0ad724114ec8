"""Misconception: The picture follows its placeholder, which stays.

Tell: The placeholder is still there, as a word before its picture. It stands for the picture and is
replaced by it; its id may not even be in the vocabulary.
Caught by: a_picture_stands_where_its_placeholder_stood, rows_become_one_rectangle,
visual_tokens_carry_no_label, words_and_visual_tokens_stand_in_order,
each_picture_goes_to_its_own_placeholder, labels_stay_with_their_words,
keep_tells_padding_from_the_rest, positions_count_everything_that_is_kept, a_row_is_the_same_alone,
the_placeholder_is_never_looked_up, pictures_may_stand_anywhere, gradients_arrive_at_pictures_and_words
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept = [], []
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
            if word == image_id:
                word = max(0, min(word, len(embedding) - 1))
                pieces.append(torch.cat([embedding[word][None], next(pictures)]))
                kept += [IGNORED] * (1 + n_visual)
            else:
                pieces.append(embedding[word][None])
                kept.append(label)
        rows.append(torch.cat(pieces))
        targets.append(torch.tensor(kept))
    embeds = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = torch.arange(embeds.shape[1]) * keep
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
