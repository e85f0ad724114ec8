"""Misconception: The table counts how many readers carry a picture on.

Tell: Your reaches holds numbers: how many tokens so far have read the picture. The question is yes or no.
Compare with 0.
Caught by: the_tables_have_a_column_for_each_picture, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix,
a_picture_without_a_reader_reaches_nobody
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.long().cumsum(dim=1)
    return {"reads": reads, "reaches": reaches}
