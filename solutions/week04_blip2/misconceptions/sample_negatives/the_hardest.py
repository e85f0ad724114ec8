"""Misconception: The hardest wrong one is selected.

Tell: You always pick the most alike of the others. The published code draws: the hardest comes often but not
always, and those behind it get their turn.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, everyone_draws_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.masked_fill(own, -torch.inf)
    pictures = logits.T.masked_fill(own, -torch.inf)
    return texts.argmax(dim=1), pictures.argmax(dim=1)
