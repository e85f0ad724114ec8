"""Misconception: All ids are embedded, then the pictures put in their places.

Tell: You embed the whole row before the placeholders are out. A placeholder such as -200 is no row of
the embedding: in torch it counts from the end and finds some word in silence, or raises. Take it out
first.
Caught by: a_picture_stands_where_its_placeholder_stood, rows_become_one_rectangle,
visual_tokens_carry_no_label, the_placeholder_is_never_looked_up
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept, looked_up = [], [], embedding[ids]
        for at, (word, label) in enumerate(zip(ids.tolist(), row_labels.tolist(), strict=True)):
            if word == image_id:
                pieces.append(next(pictures))
                kept += [IGNORED] * n_visual
            else:
                pieces.append(looked_up[at][None])
                kept.append(label)
        rows.append(torch.cat(pieces))
        targets.append(torch.tensor(kept))
    embeds = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = torch.arange(embeds.shape[1]) * keep
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
