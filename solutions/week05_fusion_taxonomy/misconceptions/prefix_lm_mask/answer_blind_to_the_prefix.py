"""Misconception: Prefix and answer have a table each.

Tell: Your answer sees no token of the prefix: it is written without picture and question. The triangle
below the diagonal stays for the answer, all of it.

Caught by: the_four_quarters_are_right, each_token_sees_what_it_may, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    answers = ~is_prefix[:, :, None] & ~is_prefix[:, None, :]
    return ((both | answers & earlier) & keep[:, None, :]) | itself
