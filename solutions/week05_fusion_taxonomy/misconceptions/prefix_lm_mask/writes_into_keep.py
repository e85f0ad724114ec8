"""Misconception: &= makes a new mask.

Tell: You write into the mask that you were given; whoever gave it still needs it. & makes a new one, &=
does not.

Caught by: a_boolean_table_and_nothing_changed
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    is_prefix &= keep
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
