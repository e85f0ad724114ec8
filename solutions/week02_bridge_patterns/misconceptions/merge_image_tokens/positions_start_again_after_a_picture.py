"""Misconception: Words are counted anew after every picture.

Tell: Your positions start again behind each picture: every piece was counted by itself. One row is one
count, from its beginning to its end.
Caught by: positions_count_everything_that_is_kept
"""

from itertools import pairwise

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets, counts = [], [], []
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
        count = []
        for before, word in pairwise([image_id, *ids.tolist()]):
            count += (
                range(n_visual)
                if word == image_id
                else [count[-1] + 1 if count and before != image_id else 0]
            )
        counts.append(torch.tensor(count))
    embeds = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = pad_sequence(counts, batch_first=True)
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
