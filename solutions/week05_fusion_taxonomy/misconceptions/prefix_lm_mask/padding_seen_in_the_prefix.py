"""Misconception: Padding stands behind, where the triangle hides it.

Tell: You open the triangle for the prefix after you have taken the padding out, and padding within the
prefix is seen again. Take it out last.

Caught by: no_real_token_sees_padding, each_token_sees_what_it_may, padding_is_seen_by_nobody
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return (earlier & keep[:, None, :]) | both | itself
