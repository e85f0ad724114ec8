"""Misconception: The mean over no picture takes care of itself.

Tell: With no picture your table is full of NaN, in silence. Raise a ValueError that says how many
pictures there were.
Caught by: it_looks_and_does_not_touch
"""

import torch.nn.functional as F


def query_similarity(read):
    unit = F.normalize(read, dim=-1)
    return (unit @ unit.mT).mean(dim=0)
