"""Prefix-LM: what stands before the answer sees all of itself, both ways; the answer is causal.

In a causal decoder a picture that stands first is read without the question: its tokens can see nothing that
comes later. A prefix-LM opens that triangle for the prefix, and for the prefix alone. What is to be predicted
must not be seen.

Axes in this file:
    b  rows    s  tokens    i j  a token that looks, a token looked at

Sources: Raffel et al. 2020, T5, arXiv:1910.10683, section 3.2 (prefix-LM); PaliGemma, arXiv:2407.07726.
"""

import torch
from einops import rearrange
from jaxtyping import Bool
from torch import Tensor

from course_lib.errors import ShapeError


def prefix_lm_mask(keep: Bool[Tensor, "b s"], is_prefix: Bool[Tensor, "..."]) -> Bool[Tensor, "b s s"]:
    """Who may see whom: the prefix all of the prefix, everything else what is not later. True = may see.

    Args:
        keep: True = keep: a token that is real. Nothing sees a token that is not, but itself.
        is_prefix: bool[b s]. True for picture and question, False for the answer. A row without a prefix is
            causal.

    Shapes:
        returns  bool[b s s]   row i: whom token i sees

    Raises:
        ShapeError: the two have different shapes.
    """
    if keep.shape != is_prefix.shape:
        raise ShapeError(
            f"keep is {tuple(keep.shape)}, is_prefix is {tuple(is_prefix.shape)}; give both for each token."
        )
    n = keep.shape[1]
    earlier = torch.ones(n, n, dtype=torch.bool, device=keep.device).tril()
    both = rearrange(is_prefix, "b i -> b i 1") & rearrange(is_prefix, "b j -> b 1 j")
    itself = torch.eye(n, dtype=torch.bool, device=keep.device)
    return ((earlier | both) & rearrange(keep, "b j -> b 1 j")) | itself
