"""Misconception: A mask is a table of ones and zeros.

Tell: Your table holds numbers. torch's attention adds numbers to the scores, and hides nothing by adding
0: return booleans.

Caught by: there_is_a_table_for_each_row, a_boolean_table_and_nothing_changed
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return (((earlier | both) & keep[:, None, :]) | itself).float()
