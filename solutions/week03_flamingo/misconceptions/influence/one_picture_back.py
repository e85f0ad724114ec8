"""Misconception: A token hears of its own picture and of the one before.

Tell: Your pictures reach the next picture's text and no further. There is no such limit: each token hears
all tokens before it, however many tags lie between.
Caught by: a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    number = torch.arange(1, n_images + 1)
    reaches = reads | (index[:, :, None] == number + 1)
    return {"reads": reads, "reaches": reaches}
