"""Misconception: Each word of the answer depends on the prefix.

Tell: Your answer's words do not see the words of the answer before them. Then none knows how far the
answer has come.

Caught by: the_four_quarters_are_right, each_token_sees_what_it_may, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    return (is_prefix[:, None, :] & (earlier | is_prefix[:, :, None]) & keep[:, None, :]) | itself
