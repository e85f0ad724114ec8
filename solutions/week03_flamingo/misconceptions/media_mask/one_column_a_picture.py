"""Misconception: The mask says which picture, not which visual token.

Tell: You return one column for each picture, b t n, as some libraries do. The attention that follows has a
key for each visual token: b t s, with s = n v.
Caught by: the_media_mask_has_a_column_for_each_visual_token, a_word_keeps_its_own_picture,
a_token_keeps_its_own_picture_and_no_other, a_token_without_a_picture_keeps_nothing,
only_real_visual_tokens_are_kept, a_picture_that_fills_the_batch_up_is_kept_by_nobody,
visual_tokens_lie_picture_by_picture, rows_do_not_mix, the_mask_is_boolean,
an_index_beyond_the_pictures_is_an_error
"""

import torch


def media_mask(index, visual_mask):
    n = visual_mask.shape[1]
    if index.numel() and int(index.max()) > n:
        raise ValueError(f"index {int(index.max())} is beyond the {n} pictures")
    own = index[:, :, None] == torch.arange(1, n + 1)
    return own & visual_mask.any(dim=2)[:, None]
