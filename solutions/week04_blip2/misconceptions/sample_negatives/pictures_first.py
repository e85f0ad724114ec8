"""Misconception: Pictures come first.

Tell: You return the pictures first. Asked for is a text for each picture, then a picture for each text.
Caught by: one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness, pictures_are_drawn_by_likeness,
a_small_temperature_is_no_trouble
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.masked_fill(own, -torch.inf).softmax(dim=1)
    pictures = logits.T.masked_fill(own, -torch.inf).softmax(dim=1)
    return torch.multinomial(pictures, 1)[:, 0], torch.multinomial(texts, 1)[:, 0]
