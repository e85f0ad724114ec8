"""Misconception: The tables have a row for each picture.

Tell: Your tables are b n t. They are asked for as b t n: a row for each token, a column for each picture.
Caught by: the_tables_have_a_column_for_each_picture, what_is_read_reaches,
a_token_reads_the_picture_of_its_index, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, nothing_reaches_back, an_end_stops_the_reading_and_not_the_reaching,
rows_do_not_mix, a_picture_without_a_reader_reaches_nobody
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.long().cummax(dim=1).values.bool()
    return {"reads": reads.mT, "reaches": reaches.mT}
