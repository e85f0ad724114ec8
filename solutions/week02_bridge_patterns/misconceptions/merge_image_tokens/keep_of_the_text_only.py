"""Misconception: Only words are kept; the picture is no text.

Tell: Your keep is False at visual tokens, so the language model cannot see the picture at all. It says
what is real, and a visual token is: only padding is False.
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
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = torch.arange(embeds.shape[1]) * keep
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    visual = torch.zeros_like(keep)
    for row, ids in enumerate(input_ids):
        spread = ids.eq(image_id).repeat_interleave(torch.where(ids == image_id, n_visual, 1))
        visual[row, : len(spread)] = spread
    keep = keep & ~visual
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
