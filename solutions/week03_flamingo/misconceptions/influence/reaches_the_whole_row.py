"""Misconception: Self-attention carries a picture through the whole row.

Tell: In your table a picture that is read reaches all tokens of the row, earlier ones too. Self-attention
in a language model is causal: nobody hears what comes later.
Caught by: what_is_read_reaches, a_picture_reaches_its_readers_and_all_behind,
the_tables_are_what_one_measures, nothing_reaches_back, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.any(dim=1, keepdim=True).expand_as(reads)
    return {"reads": reads, "reaches": reaches}
