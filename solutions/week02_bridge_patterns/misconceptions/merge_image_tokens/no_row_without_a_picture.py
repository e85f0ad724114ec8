"""Misconception: Every row has a picture.

Tell: A row without a picture raises: its first placeholder is looked for, and there is none. Rows of
text alone belong into a batch too.
Caught by: rows_become_one_rectangle, words_and_visual_tokens_stand_in_order, a_row_is_the_same_alone,
pictures_may_stand_anywhere
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        first = (ids == image_id).nonzero()[0]
        pieces, kept = list(embedding[ids[:first]][:, None]), row_labels[:first].tolist()
        for word, label in zip(ids[first:].tolist(), row_labels[first:].tolist(), strict=True):
            if word == image_id:
                pieces.append(next(pictures))
                kept += [IGNORED] * n_visual
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
