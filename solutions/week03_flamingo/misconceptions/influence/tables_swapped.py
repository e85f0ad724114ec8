"""Misconception: reads is the larger table.

Tell: Your two tables are exchanged: what you call reads is what reaches. reads is cross-attention alone, so
it has at most one yes for each token.
Caught by: what_is_read_reaches, a_token_reads_the_picture_of_its_index,
a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.long().cummax(dim=1).values.bool()
    return {"reads": reaches, "reaches": reads}
