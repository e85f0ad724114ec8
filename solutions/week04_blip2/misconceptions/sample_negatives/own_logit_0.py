"""Misconception: A logit of 0 rules the own one out.

Tell: You give the own one a logit of 0. exp(0) is 1: among small logits that is a large share. It needs minus
infinity.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, the_own_one_is_never_drawn, a_small_temperature_is_no_trouble,
everyone_draws_alone, the_table_is_left_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.masked_fill(own, 0.0).softmax(dim=1)
    pictures = logits.T.masked_fill(own, 0.0).softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
