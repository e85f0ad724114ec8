"""Misconception: The prefix is the first so many tokens.

Tell: You count the prefix and take so many tokens from the front. With padding in front, or two turns,
it stands elsewhere: is_prefix says where.

Caught by: each_token_sees_what_it_may, the_prefix_sees_all_of_itself, nothing_before_an_answer_sees_it
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    front = torch.arange(s) < is_prefix.sum(dim=1, keepdim=True)
    both = front[:, :, None] & front[:, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
