"""Misconception: Picture 0 is the first.

Tell: You compare the index with 0, 1, 2, ...; the first picture has number 1, because 0 says none. So text
without a picture reads the first, and all others one too late.
Caught by: what_is_read_reaches, a_token_reads_the_picture_of_its_index,
a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures, nothing_reaches_back,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix, a_picture_without_a_reader_reaches_nobody
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(n_images)
    reaches = reads.long().cummax(dim=1).values.bool()
    return {"reads": reads, "reaches": reaches}
