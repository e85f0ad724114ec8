"""Misconception: Padding neither looks nor is looked at.

Tell: Your rows of padding are empty, and a softmax over nothing is NaN, which soon is everywhere. Let
every token see itself.

Caught by: no_real_token_sees_padding, no_row_is_empty
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return (earlier | both) & keep[:, None, :] & keep[:, :, None]
