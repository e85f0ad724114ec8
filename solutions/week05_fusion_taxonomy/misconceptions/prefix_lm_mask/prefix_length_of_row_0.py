"""Misconception: All rows have a prefix of one length.

Tell: You open the triangle by the first row's prefix in every row. Questions differ in length: each row
has its own.

Caught by: each_token_sees_what_it_may, the_prefix_sees_all_of_itself, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:1, :, None] & is_prefix[:1, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
