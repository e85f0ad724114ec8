"""Misconception: The prefix ends with the first token that is not of it.

Tell: You end the prefix at the first token that is not of it. A second question is prefix again,
wherever it stands.

Caught by: each_token_sees_what_it_may, the_prefix_sees_all_of_itself
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    s = keep.shape[1]
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    front = is_prefix.long().cumprod(dim=1) > 0
    both = front[:, :, None] & front[:, None, :]
    return ((earlier | both) & keep[:, None, :]) | itself
