"""Misconception: Running out of pictures will be noticed.

Tell: Your values are right, but the number of pictures is never compared with the number of
placeholders. Too few end in an error about something else, too many in none.
Caught by: a_wrong_number_of_pictures_is_an_error
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept = [], []
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
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
