"""Misconception: Pictures travel down the batch.

Tell: Your reaches goes down the batch instead of along the text: rows change each other, and tokens of a
row do not. The tokens lie along dim=1.
Caught by: a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.long().cummax(dim=0).values.bool()
    return {"reads": reads, "reaches": reaches}
