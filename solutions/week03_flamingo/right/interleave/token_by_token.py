"""Right: one flat list of (document, id, label), then written into tables that start as padding."""

import torch


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    if len(documents) == 0:
        raise ValueError("got 0 documents, need 1 or more")
    tokens = []
    lengths = [0] * len(documents)

    def add(d, token, label):
        tokens.append((d, lengths[d], token, label))
        lengths[d] += 1

    for d in range(len(documents)):
        if len(documents[d]) == 0:
            raise ValueError(f"document {d} is empty: 0 chunks")
        for c in range(len(documents[d])):
            picture, words = documents[d][c]
            if len(words) == 0:
                raise ValueError(f"document {d}, chunk {c}: 0 words")
            if picture:
                add(d, image_id, -100)
            for word in words:
                add(d, int(word), int(word) if picture else -100)
            add(d, end_of_chunk_id, end_of_chunk_id if picture else -100)
    shape = (len(documents), max(lengths))
    ids = torch.full(shape, pad_id)
    labels = torch.full(shape, -100)
    keep = torch.zeros(shape, dtype=torch.bool)
    for d, t, token, label in tokens:
        ids[d, t], labels[d, t], keep[d, t] = token, label, True
    return {"ids": ids, "labels": labels, "keep": keep}
