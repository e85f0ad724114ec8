"""Misconception: The row is looked at, the column looks.

Tell: Your table is turned round. Row i says whom token i sees; your answer's first word is seen by what
stands before it.

Caught by: the_four_quarters_are_right, no_real_token_sees_padding, each_token_sees_what_it_may,
nothing_before_an_answer_sees_it, padding_is_seen_by_nobody
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    return (((earlier | both) & keep[:, None, :]) | itself).transpose(1, 2).contiguous()
