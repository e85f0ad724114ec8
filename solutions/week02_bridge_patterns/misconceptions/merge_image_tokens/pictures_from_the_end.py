"""Misconception: Pictures are taken from the end of the list.

Tell: Your pictures arrive in reverse order: features.pop() or a loop from the back takes the last one
first. The first placeholder gets the first picture.
Caught by: words_and_visual_tokens_stand_in_order, each_picture_goes_to_its_own_placeholder,
a_row_is_the_same_alone, the_placeholder_is_never_looked_up, pictures_may_stand_anywhere,
what_it_was_given_stays_as_it_was, a_wrong_number_of_pictures_is_an_error
"""

import torch
from torch.nn.utils.rnn import pad_sequence

from course_lib.image_tokens import IGNORED, _refuse_what_does_not_fit


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    _refuse_what_does_not_fit(input_ids, labels, features, embedding, image_id)
    n_visual, pictures = features.shape[1], iter(features.flip(0))
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
