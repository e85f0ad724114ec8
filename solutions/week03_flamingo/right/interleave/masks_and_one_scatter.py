"""Right: everything in one long row, its places computed, and two tables filled with masked_scatter."""

import torch


class Empty(ValueError):
    """Nothing to lay out."""


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    if not documents:
        raise Empty("0 documents")
    ids, learned, lengths = [], [], []
    for d, document in enumerate(documents):
        if not document:
            raise Empty(f"0 chunks in document {d}")
        if not all(len(words) for _, words in document):
            c = next(c for c, (_, words) in enumerate(document) if not len(words))
            raise Empty(f"0 words in chunk {c} of document {d}")
        for has_picture, words in document:
            signs = [image_id, end_of_chunk_id] if has_picture else [end_of_chunk_id]
            ids += [*signs[:-1], *words.tolist(), signs[-1]]
            learned += [False] * (len(signs) - 1) + [bool(has_picture)] * (len(words) + 1)
        lengths.append(sum(len(words) + 1 + bool(has_picture) for has_picture, words in document))
    keep = torch.arange(max(lengths)).expand(len(lengths), -1) < torch.tensor(lengths).unsqueeze(1)
    ids, learned = torch.tensor(ids), torch.tensor(learned)
    return {
        "ids": torch.full(keep.shape, pad_id).masked_scatter(keep, ids),
        "keep": keep,
        "labels": torch.full(keep.shape, -100).masked_scatter(keep, ids.masked_fill(~learned, -100)),
    }
