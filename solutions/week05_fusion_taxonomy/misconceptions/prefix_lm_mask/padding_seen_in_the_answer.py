"""Misconception: The prefix alone has padding.

Tell: You take padding out of the prefix and leave the answer's in view. keep holds for every column.

Caught by: each_token_sees_what_it_may, padding_is_seen_by_nobody
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :] & keep[:, None, :]
    return (earlier & (keep | ~is_prefix)[:, None, :]) | both | itself
