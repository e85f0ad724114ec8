"""Misconception: A placeholder without a picture is passed over.

Tell: You merge although there are fewer pictures than placeholders; those without one disappear. A
question about a picture that nobody shows should be an error, not a guess.
Caught by: a_wrong_number_of_pictures_is_an_error
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    n_placeholders = sum(int((ids == image_id).sum()) for ids in input_ids)
    if len(features) > n_placeholders:
        _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept = [], []
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
            if word == image_id:
                picture = next(pictures, None)
                if picture is not None:
                    pieces.append(picture)
                    kept += [IGNORED] * n_visual
            else:
                pieces.append(embedding[word][None])
                kept.append(label)
        rows.append(torch.cat([*pieces, embedding[:0]]))
        targets.append(torch.tensor(kept, dtype=torch.long))
    embeds = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = torch.arange(embeds.shape[1]) * keep
    labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
