"""Misconception: Labels are padded, and stay where they were.

Tell: Your labels were padded to the new length but did not move when pictures were put in before them,
so each word is trained on what another one should say. Insert -100 for every visual token, where it
stands.
Caught by: visual_tokens_carry_no_label, labels_stay_with_their_words
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    pictures = iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept = [], []
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
            if word == image_id:
                pieces.append(next(pictures))
                kept.append(IGNORED)
            else:
                pieces.append(embedding[word][None])
                kept.append(label)
        rows.append(torch.cat(pieces))
        targets.append(torch.tensor(kept + [IGNORED] * (len(rows[-1]) - len(kept))))
    embeds = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = torch.arange(embeds.shape[1]) * keep
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
