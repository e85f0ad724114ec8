"""Misconception: A chunk without words can be left out.

Tell: You pass over what is empty. A picture that nobody speaks of would take a tag and no words, and
the rows would no longer be the documents. Refuse it.
Caught by: what_is_empty_is_refused
"""

import torch
from torch.nn.utils.rnn import pad_sequence


def interleave(documents, image_id, end_of_chunk_id, pad_id):
    if not documents:
        raise ValueError("there are 0 documents.")
    rows, targets = [], []
    for number, document in enumerate(documents):
        if not document:
            raise ValueError(f"document {number} has 0 chunks.")
        ids, labels = [], []
        for has_picture, words in document:
            if not len(words):
                continue
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
