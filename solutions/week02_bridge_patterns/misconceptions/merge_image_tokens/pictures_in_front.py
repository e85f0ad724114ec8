"""Misconception: All pictures of a row come first, then its words.

Tell: Your pictures stand at the beginning of their rows, wherever the text had put them. That is right
only for a row that begins with its picture.
Caught by: a_picture_stands_where_its_placeholder_stood, words_and_visual_tokens_stand_in_order,
each_picture_goes_to_its_own_placeholder, labels_stay_with_their_words, pictures_may_stand_anywhere
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept, n_seen = [], [], 0
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
            if word == image_id:
                pieces.insert(n_seen, next(pictures))
                n_seen += 1
                kept = [IGNORED] * n_visual + kept
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
