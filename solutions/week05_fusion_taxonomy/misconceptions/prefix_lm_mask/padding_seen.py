"""Misconception: What is padding, the loss leaves out.

Tell: Your real tokens see padding. The loss leaves it out as an answer; as something to look at only the
mask can.

Caught by: no_real_token_sees_padding, each_token_sees_what_it_may, padding_is_seen_by_nobody
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return earlier | both
