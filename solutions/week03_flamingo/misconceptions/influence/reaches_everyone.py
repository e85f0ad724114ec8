"""Misconception: Every picture can change every token.

Tell: Your reaches says yes everywhere. Text that was written before a picture was shown cannot depend on
it, for self-attention is causal.
Caught by: what_is_read_reaches, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, nothing_reaches_back, an_end_stops_the_reading_and_not_the_reaching,
rows_do_not_mix, a_picture_without_a_reader_reaches_nobody
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = torch.ones_like(reads)
    return {"reads": reads, "reaches": reaches}
