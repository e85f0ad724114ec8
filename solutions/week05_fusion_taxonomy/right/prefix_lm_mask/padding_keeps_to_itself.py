"""Right: padding sees itself alone, which nobody asks about; whole numbers do the rest."""

import torch


def prefix_lm_mask(keep, is_prefix):
    if keep.shape != is_prefix.shape:
        raise ValueError(f"keep {tuple(keep.shape)} and is_prefix {tuple(is_prefix.shape)} differ")
    s = keep.shape[-1]
    prefix, real = is_prefix.int(), keep.int()
    sees = torch.einsum("bi,bj->bij", prefix, prefix) + torch.tril(torch.ones(s, s, dtype=torch.int))
    sees = sees.clamp(max=1) * torch.einsum("bi,bj->bij", real, real)
    return torch.maximum(sees, torch.eye(s, dtype=torch.int)).bool()
