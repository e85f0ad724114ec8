"""Misconception: Both draws come from the same rows.

Tell: Your pictures are drawn from the rows, too. A text looks down its column: transpose the table for it.
Caught by: one_ahead_is_drawn_half_the_time, pictures_are_drawn_by_likeness, a_small_temperature_is_no_trouble
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.masked_fill(own, -torch.inf).softmax(dim=1)
    pictures = logits.masked_fill(own, -torch.inf).softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
