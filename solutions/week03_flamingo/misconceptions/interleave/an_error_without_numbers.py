"""Misconception: An error says that something is empty.

Tell: You refuse what is empty and do not say where. Name the document and the chunk, counted from 0.
Caught by: what_is_empty_is_refused
"""

import torch
from torch.nn.utils.rnn import pad_sequence


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    if not documents:
        raise ValueError("there are 0 documents.")
    rows, targets = [], []
    for document in documents:
        if not document:
            raise ValueError("empty document")
        ids, labels = [], []
        for has_picture, words in document:
            if not len(words):
                raise ValueError("empty chunk")
            if has_picture:
                ids.append(image_id)
                labels.append(-100)
            chunk = [*words.tolist(), end_of_chunk_id]
            ids += chunk
            labels += chunk if has_picture else [-100] * len(chunk)
        rows.append(torch.tensor(ids))
        targets.append(torch.tensor(labels))
    lengths = torch.tensor([len(row) for row in rows])
    return {
        "ids": pad_sequence(rows, batch_first=True, padding_value=pad_id),
        "keep": torch.arange(int(lengths.max())) < lengths[:, None],
        "labels": pad_sequence(targets, batch_first=True, padding_value=-100),
    }
