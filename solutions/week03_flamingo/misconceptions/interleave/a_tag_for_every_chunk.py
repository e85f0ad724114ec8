"""Misconception: Every chunk opens with a tag.

Tell: You put a tag before words without a picture. From there on every tag counts one picture too many.
Caught by: a_document_becomes_one_row, a_shorter_document_is_filled_up,
only_what_a_picture_can_help_with_is_learned, tags_words_and_ends_stand_in_order,
short_rows_are_filled_up_on_the_right, words_of_a_picture_are_learned_in_their_place,
nothing_else_is_learned, the_padding_may_look_like_a_word
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
