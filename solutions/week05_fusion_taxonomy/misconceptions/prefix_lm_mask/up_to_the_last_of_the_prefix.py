"""Misconception: All that stands before the last prefix token is prefix.

Tell: You open everything up to the last token of the prefix. Where two turns stand in a row, the first
answer is in there, and sees itself ahead.

Caught by: each_token_sees_what_it_may, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    front = is_prefix.flip(1).long().cumsum(dim=1).flip(1) > 0
    both = front[:, :, None] & front[:, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
