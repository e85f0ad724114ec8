"""Misconception: The own one is taken out after the softmax.

Tell: You take the own one out after the softmax. That is right until it outshines the rest: at a small
temperature the others round to 0, and nothing is left to draw from. Mask the logits.
Caught by: the_own_one_is_never_drawn
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.softmax(dim=1).masked_fill(own, 0.0)
    pictures = logits.T.softmax(dim=1).masked_fill(own, 0.0)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
