"""Misconception: Shapes that broadcast fit.

Tell: You take one row of is_prefix for a whole batch, or none at all, because the shapes happen to
broadcast. Refuse it, and name both shapes.

Caught by: different_shapes_are_refused
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[..., :, None] & is_prefix[..., None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
