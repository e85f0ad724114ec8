"""Misconception: Self-attention hands on to the next token.

Tell: In your table a picture reaches its readers and the one token behind the last of them. A token hears
all tokens before it, not its neighbour alone.
Caught by: a_picture_reaches_its_readers_and_all_behind, the_tables_are_what_one_measures,
an_end_stops_the_reading_and_not_the_reaching, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.clone()
    reaches[:, 1:] |= reads[:, :-1]
    return {"reads": reads, "reaches": reaches}
