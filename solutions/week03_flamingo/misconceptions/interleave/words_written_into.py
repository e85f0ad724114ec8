"""Misconception: The words are a good place for the labels.

Tell: You write into the words that you were given. The caller reads them again in the next epoch, and
then finds -100.
Caught by: what_it_was_given_stays_as_it_was
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
        for place, (has_picture, words) in enumerate(document):
            if not len(words):
                raise ValueError(f"chunk {place} of document {number} has 0 words.")
            if has_picture:
                ids.append(image_id)
                labels.append(-100)
            chunk = [*words.tolist(), end_of_chunk_id]
            if not has_picture:
                words.fill_(-100)
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
