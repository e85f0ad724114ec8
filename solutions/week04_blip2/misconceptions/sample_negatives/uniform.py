"""Misconception: Any other one will do.

Tell: Your draws do not look at the similarities: each of the others is as likely. Most are then so wrong that
there is nothing to learn from them.
Caught by: one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness, pictures_are_drawn_by_likeness,
a_small_temperature_is_no_trouble
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = (~own).float()
    pictures = (~own).float()
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
