"""Misconception: Likeness is a cosine, so the logits are brought back between -1 and 1.

Tell: You multiply the logits by 0.07 before the softmax. That takes the temperature out again, and the draws
are nearly uniform.
Caught by: one_ahead_is_drawn_half_the_time, texts_are_drawn_by_likeness, pictures_are_drawn_by_likeness
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = (logits * 0.07).masked_fill(own, -torch.inf).softmax(dim=1)
    pictures = (logits.T * 0.07).masked_fill(own, -torch.inf).softmax(dim=1)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
