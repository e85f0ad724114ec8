"""Misconception: A picture reaches its readers and the tokens before them.

Tell: Your reaches runs the wrong way: from the readers to earlier tokens. A token hears what was there
before it, so a picture travels on to later ones.
Caught by: what_is_read_reaches, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, nothing_reaches_back, an_end_stops_the_reading_and_not_the_reaching,
rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.flip(1).long().cummax(dim=1).values.flip(1).bool()
    return {"reads": reads, "reaches": reaches}
