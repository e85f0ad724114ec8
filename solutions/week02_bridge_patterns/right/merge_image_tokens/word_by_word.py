"""Right: a loop over the words of every row."""

import torch
from torch.nn.utils.rnn import pad_sequence


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    n_placeholders = sum(ids.tolist().count(image_id) for ids in input_ids)
    if n_placeholders != len(features):
        raise ValueError(f"{n_placeholders} placeholders, {len(features)} pictures")
    n_visual, pictures = features.shape[1], iter(features)
    rows, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        pieces, kept = [], []
        for word, label in zip(ids.tolist(), row_labels.tolist(), strict=True):
            if word == image_id:
                pieces.append(next(pictures))
                kept += [-100] * n_visual
            else:
                pieces.append(embedding[word][None])
                kept.append(label)
        rows.append(torch.cat(pieces))
        targets.append(torch.tensor(kept))
    embeds = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    keep = torch.arange(embeds.shape[1]) < lengths[:, None]
    positions = torch.arange(embeds.shape[1]) * keep
    labels = pad_sequence(targets, batch_first=True, padding_value=-100)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
