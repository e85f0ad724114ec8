"""Misconception: A shuffled batch is a batch of wrong pairs.

Tell: Your wrong pairs are the batch, shuffled. A shuffle may leave some in their place, and it does not look
at the similarities.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, the_own_one_is_never_drawn, a_small_temperature_is_no_trouble,
everyone_draws_alone, the_table_is_left_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    return torch.randperm(len(logits)), torch.randperm(len(logits))
