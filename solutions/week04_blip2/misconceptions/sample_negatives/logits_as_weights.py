"""Misconception: Similarities are weights as they are.

Tell: Your weights are the logits, shifted so that none is negative, without a softmax. Differences then count
far too little.
Caught by: every_other_one_may_come, one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness,
pictures_are_drawn_by_likeness, a_small_temperature_is_no_trouble
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    weights = logits - logits.min() + 1e-6
    texts = weights.masked_fill(own, 0.0)
    pictures = weights.T.masked_fill(own, 0.0)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
