"""Misconception: A wrong pair serves both directions.

Tell: You return one draw twice. The text that is wrong for picture 3 is no picture; a second draw, from the
columns, is needed.
Caught by: one_ahead_is_drawn_half_the_time, pictures_are_drawn_by_likeness,
a_small_temperature_is_no_trouble, everyone_draws_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.masked_fill(own, -torch.inf).softmax(dim=1)
    drawn = torch.multinomial(texts, 1)[:, 0]
    return drawn, drawn
