"""Misconception: A picture reaches a token whose index is as large or larger.

Tell: You compare numbers: index >= picture. That holds while the index only grows. Behind the end of a
document it falls back to 0, and there your table forgets that self-attention still hears the earlier text.
Caught by: the_tables_are_what_one_measures, an_end_stops_the_reading_and_not_the_reaching
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = index[:, :, None] >= torch.arange(1, n_images + 1)
    return {"reads": reads, "reaches": reaches}
