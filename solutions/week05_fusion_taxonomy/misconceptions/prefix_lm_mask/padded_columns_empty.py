"""Misconception: Padding is seen by nobody, not even by itself.

Tell: You take out the columns of padding last, the diagonal with them. Then a row padded in front has
tokens that see nothing, and a softmax over nothing is NaN.

Caught by: no_real_token_sees_padding, no_row_is_empty
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return (earlier | both | itself) & keep[:, None, :]
