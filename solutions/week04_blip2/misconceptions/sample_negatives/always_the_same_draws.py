"""Misconception: A generator with a fixed seed makes it reproducible.

Tell: Your draws are the same at every call: the generator is seeded inside. Seed once, outside; here every
batch has to draw anew.
Caught by: every_other_one_may_come, everyone_draws_alone
"""

import torch


def sample_negatives(logits):
    if len(logits) < 2:
        raise ValueError(f"a batch of {len(logits)} has no wrong pair.")
    own = torch.eye(len(logits), dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    texts = logits.masked_fill(own, -torch.inf).softmax(dim=1)
    pictures = logits.T.masked_fill(own, -torch.inf).softmax(dim=1)
    return (
        torch.multinomial(texts, 1, generator=generator)[:, 0],
        torch.multinomial(pictures, 1, generator=generator)[:, 0],
    )
