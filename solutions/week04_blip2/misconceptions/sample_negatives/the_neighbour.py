"""Misconception: The next one of the batch is wrong enough.

Tell: Your wrong pairs are the neighbours in the batch. That is never the own one, and never hard either, and
nothing is drawn.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, a_small_temperature_is_no_trouble, everyone_draws_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    pairs = torch.arange(len(logits))
    return pairs.roll(-1), pairs.roll(1)
