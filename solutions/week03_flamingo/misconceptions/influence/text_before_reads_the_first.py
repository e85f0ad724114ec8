"""Misconception: Text before all pictures reads the first.

Tell: Your tokens of index 0 read picture 1. 0 says none.
Caught by: what_is_read_reaches, a_token_reads_the_picture_of_its_index,
a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures, nothing_reaches_back,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index.clamp(min=1)[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.long().cummax(dim=1).values.bool()
    return {"reads": reads, "reaches": reaches}
