"""Misconception: The rows of the softmax are drawn from as they are.

Tell: Your draws may hit the own one, and it is the likeliest of all. The right pair would then be called
wrong.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, the_own_one_is_never_drawn, everyone_draws_alone, the_table_is_left_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    texts = logits.softmax(dim=1)
    pictures = logits.T.softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
