"""Misconception: The prefix is seen by all.

Tell: You let every token see every token of the prefix, later ones too. With two turns an answer then
sees the question that follows it. Both have to be of the prefix.

Caught by: each_token_sees_what_it_may
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
