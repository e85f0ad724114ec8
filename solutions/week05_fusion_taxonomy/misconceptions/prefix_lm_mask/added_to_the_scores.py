"""Misconception: A mask is 0 where it keeps and minus infinity where it hides.

Tell: You return what is added to the scores. Here masks are boolean, True = may see.

Caught by: TODO
"""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}.")
    b, s = keep.shape
    earlier = torch.ones(s, s, dtype=torch.bool).tril()
    itself = torch.eye(s, dtype=torch.bool)
    both = is_prefix[:, :, None] & is_prefix[:, None, :]
    sees = ((earlier | both) & keep[:, None, :]) | itself
    return torch.zeros(b, s, s).masked_fill(~sees, -torch.inf)
