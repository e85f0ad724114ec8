"""Misconception: What has the padding's id is padding.

Tell: You find padding by its id. In many tokenisers that id is also a word's or the sign's, and then
real tokens are hidden. Go by the length of the document.
Caught by: the_padding_may_look_like_a_word
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
            ids += chunk
            labels += chunk if has_picture else [-100] * len(chunk)
        rows.append(torch.tensor(ids))
        targets.append(torch.tensor(labels))
    return {
        "ids": pad_sequence(rows, batch_first=True, padding_value=pad_id),
        "keep": pad_sequence(rows, batch_first=True, padding_value=pad_id) != pad_id,
        "labels": pad_sequence(targets, batch_first=True, padding_value=-100),
    }
