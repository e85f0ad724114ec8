"""Misconception: Cross-attention reads all pictures up to the token's own.

Tell: Your reads says `>=` where `==` belongs. Cross-attention reads one picture, the latest; earlier ones
come through self-attention, and that is the other table.
Caught by: a_token_reads_the_picture_of_its_index, the_tables_are_what_one_measures, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] >= torch.arange(1, n_images + 1)
    reaches = reads.long().cummax(dim=1).values.bool()
    return {"reads": reads, "reaches": reaches}
