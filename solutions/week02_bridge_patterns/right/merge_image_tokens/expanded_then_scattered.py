"""Right: placeholders are repeated first, then filled by masked_scatter, as in transformers."""

import torch
from torch.nn.utils.rnn import pad_sequence


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    n_visual = features.shape[1]
    n_placeholders = int(torch.cat(list(input_ids)).eq(image_id).sum())
    if n_placeholders != len(features):
        raise ValueError(
            f"Image features and placeholders do not match: {len(features)} and {n_placeholders}"
        )
    expanded, targets = [], []
    for ids, row_labels in zip(input_ids, labels, strict=True):
        times = torch.ones_like(ids).masked_fill(ids == image_id, n_visual)
        expanded.append(ids.repeat_interleave(times))
        targets.append(row_labels.masked_fill(ids == image_id, -100).repeat_interleave(times))
    keep = pad_sequence([torch.ones_like(ids).bool() for ids in expanded], batch_first=True)
    ids = pad_sequence(expanded, batch_first=True)
    is_picture = (ids == image_id) & keep
    embeds = embedding[ids.masked_fill(is_picture, 0)].masked_fill(~keep[..., None], 0.0)
    embeds = embeds.masked_scatter(is_picture[..., None].expand_as(embeds), features)
    positions = (keep.cumsum(dim=1) - 1).masked_fill(~keep, 0)
    labels = pad_sequence(targets, batch_first=True, padding_value=-100)
    return {"embeds": embeds, "keep": keep, "positions": positions, "labels": labels}
