"""Misconception: A token must not see what it predicts.

Tell: Your tokens do not see themselves. What is predicted at a place is the next word; this one is
known.

Caught by: TODO
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    sees = (earlier | both) & keep[:, None, :] & ~itself
    return sees | (itself & ~keep[:, None, :])
