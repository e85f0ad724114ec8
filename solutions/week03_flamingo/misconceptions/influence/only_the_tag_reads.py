"""Misconception: The tag reads the picture, and the text hears it from the tag.

Tell: In your reads only the first token of each picture, its tag, says yes. Every token reads the picture
of its index for itself; it need not be told by the tag.
Caught by: a_token_reads_the_picture_of_its_index, the_tables_are_what_one_measures, rows_do_not_mix
"""

import torch


def influence(index, n_images):
    reads = index[:, :, None] == torch.arange(1, n_images + 1)
    reaches = reads.long().cummax(dim=1).values.bool()
    reads = reads & (index != torch.cat([torch.zeros_like(index[:, :1]), index[:, :-1]], dim=1))[..., None]
    return {"reads": reads, "reaches": reaches}
