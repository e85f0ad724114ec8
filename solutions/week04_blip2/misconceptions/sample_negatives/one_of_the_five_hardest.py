"""Misconception: The hardest few are equally good.

Tell: You draw evenly from the five most alike. The softmax gives the first of them more than the fifth, and
the easy ones a little, too.
Caught by: one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness, pictures_are_drawn_by_likeness,
a_small_temperature_is_no_trouble, everyone_draws_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    few = min(5, len(logits) - 1)
    texts = logits.masked_fill(own, -torch.inf).topk(few, dim=1).indices
    pictures = logits.T.masked_fill(own, -torch.inf).topk(few, dim=1).indices
    chosen = torch.randint(few, (2, len(logits), 1))
    return texts.gather(1, chosen[0])[:, 0], pictures.gather(1, chosen[1])[:, 0]
