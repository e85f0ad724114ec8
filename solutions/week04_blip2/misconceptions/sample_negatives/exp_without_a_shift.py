"""Misconception: softmax is exp, and multinomial divides by the sum itself.

Tell: Your weights are exp(logits). At a small temperature that is infinite. softmax takes the largest away
first.
Caught by: the_own_one_is_never_drawn, a_small_temperature_is_no_trouble
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.exp().masked_fill(own, 0.0)
    pictures = logits.T.exp().masked_fill(own, 0.0)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
