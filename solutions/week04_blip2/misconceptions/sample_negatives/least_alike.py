"""Misconception: A wrong pair should be as wrong as possible.

Tell: Your draws prefer the least alike. Those are the easy ones; a question everybody can answer teaches
nothing.
Caught by: one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness, pictures_are_drawn_by_likeness,
a_small_temperature_is_no_trouble
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = (-logits).masked_fill(own, -torch.inf).softmax(dim=1)
    pictures = (-logits.T).masked_fill(own, -torch.inf).softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
