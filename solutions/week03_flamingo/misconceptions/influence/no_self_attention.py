"""Misconception: A token knows its own picture only.

Tell: Your two tables are the same. Through the language model's self-attention a token hears of every
earlier picture from the tokens that read it, so reaches says more than reads.
Caught by: a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads
    return {"reads": reads, "reaches": reaches}
