"""Misconception: The diagonal of the table is not needed any more.

Tell: Your function writes into the table it was given. Whoever computes the contrastive loss from it
afterwards gets infinity.
Caught by: the_table_is_left_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    logits.fill_diagonal_(-torch.inf)
    texts = logits.softmax(dim=1)
    pictures = logits.T.softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
