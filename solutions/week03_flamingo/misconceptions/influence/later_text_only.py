"""Misconception: A picture reaches the text behind its readers.

Tell: Your reaches leaves the readers themselves out. Who reads a picture is certainly changed by it:
everything that is true in reads is true in reaches.
Caught by: what_is_read_reaches, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, nothing_reaches_back, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    carried = reads.long().cummax(dim=1).values.bool()
    reaches = carried & ~reads
    return {"reads": reads, "reaches": reaches}
