"""Misconception: "wrong shape" is message enough.

Tell: You refuse what does not fit and do not say what was given. Name both shapes.

Caught by: different_shapes_are_refused
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError("keep and is_prefix have different shapes.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
