"""Misconception: Without the own one, the others are counted from 0.

Tell: You draw among the others, but return their number among the others. Behind the own one every number is
one too small.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, the_own_one_is_never_drawn, a_small_temperature_is_no_trouble,
everyone_draws_alone, the_table_is_left_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    b = len(logits)
    rows, columns = torch.arange(b)[:, None], torch.arange(b - 1)[None]
    others = columns + (columns >= rows)
    texts = logits[rows, others].softmax(dim=1)
    pictures = logits.T[rows, others].softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
