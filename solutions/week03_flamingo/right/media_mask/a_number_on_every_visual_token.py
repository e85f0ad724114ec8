"""Right: each visual token wears its picture's number, padding wears -1."""

import torch


def media_mask(index, visual_mask):
    pictures = visual_mask.shape[1]
    if (index > pictures).any():
        raise ValueError(f"there are {pictures} pictures, and an index of {index.max().item()}")
    worn = torch.arange(1, pictures + 1).view(1, -1, 1).expand_as(visual_mask)
    worn = worn.masked_fill(~visual_mask, -1).reshape(len(index), 1, -1)
    return index.unsqueeze(2) == worn
