"""Misconception: The language model's own mask will do.

Tell: Your table is the causal one: is_prefix changes nothing. A picture that stands first is still read
without the question.

Caught by: the_four_quarters_are_right, each_token_sees_what_it_may, the_prefix_sees_all_of_itself
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    return (earlier & keep[:, None, :]) | itself
