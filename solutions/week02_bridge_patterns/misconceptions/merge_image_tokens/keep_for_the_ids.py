"""Misconception: keep says how many ids a row had.

Tell: Your keep was made from the ids, before pictures were put in. It has one True for each placeholder
instead of one for each visual token, so the end of every row with a picture is taken for padding.
Caught by: rows_become_one_rectangle, keep_tells_padding_from_the_rest
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
                pieces.append(next(pictures))
                kept += [IGNORED] * n_visual
            else:
                pieces.append(embedding[word][None])
                kept.append(label)
        rows.append(torch.cat(pieces))
        targets.append(torch.tensor(kept))
    embeds = pad_sequence(rows, batch_first=True)
    keep = torch.arange(embeds.shape[1]) < torch.tensor([len(ids) for ids in input_ids])[:, None]
    lengths = torch.tensor([len(row) for row in rows])
    positions = torch.arange(embeds.shape[1]) * (torch.arange(embeds.shape[1]) < lengths[:, None])
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
