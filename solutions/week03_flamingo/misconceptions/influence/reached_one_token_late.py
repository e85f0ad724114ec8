"""Misconception: A picture reaches from the token after its first reader on.

Tell: Your reaches starts one token too late: the first reader, the tag itself, is missing. The block stands
before the layer and changes its own token at once.
Caught by: what_is_read_reaches, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = torch.zeros_like(reads)
    reaches[:, 1:] = reads.long().cummax(dim=1).values.bool()[:, :-1]
    return {"reads": reads, "reaches": reaches}
