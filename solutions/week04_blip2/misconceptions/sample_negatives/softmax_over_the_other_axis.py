"""Misconception: The softmax goes along dim 0.

Tell: Your softmax runs over those who draw, and your draw over those to be drawn. What is drawn from has to
sum to 1.
Caught by: texts_are_drawn_by_likeness, pictures_are_drawn_by_likeness
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    texts = logits.masked_fill(own, -torch.inf).softmax(dim=0)
    pictures = logits.T.masked_fill(own, -torch.inf).softmax(dim=0)
    return torch.multinomial(texts, 1)[:, 0], torch.multinomial(pictures, 1)[:, 0]
