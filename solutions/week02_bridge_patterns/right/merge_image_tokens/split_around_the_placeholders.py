"""Right: rows are split at the placeholders, as LLaVA does it."""

import torch


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    v, d = features.shape[1:]
    n = sum(int((ids == image_id).sum()) for ids in input_ids)
    if n != features.shape[0]:
        raise ValueError(f"There are {n} image placeholders but {features.shape[0]} images.")
    rows, used = [], 0
    for ids, targets in zip(input_ids, labels, strict=True):
        cuts = (ids == image_id).nonzero()[:, 0].tolist()
        embeds, kept = [], []
        for start, end in zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(ids)], strict=True):
            embeds.append(torch.nn.functional.embedding(ids[start:end], embedding))
            kept.append(targets[start:end])
            if end < len(ids):
                embeds.append(features[used])
                kept.append(torch.full((v,), -100))
                used += 1
        rows.append((torch.cat(embeds), torch.cat(kept)))
    longest = max(len(embeds) for embeds, _ in rows)
    merged = {
        "embeds": torch.zeros(len(rows), longest, d),
        "keep": torch.zeros(len(rows), longest, dtype=torch.bool),
        "positions": torch.zeros(len(rows), longest, dtype=torch.long),
        "labels": torch.full((len(rows), longest), -100),
    }
    for row, (embeds, kept) in enumerate(rows):
        here = slice(0, len(embeds))
        merged["embeds"][row, here] = embeds
        merged["keep"][row, here] = True
        merged["positions"][row, here] = torch.arange(len(embeds))
        merged["labels"][row, here] = kept
    return merged
