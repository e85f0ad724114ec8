"""Misconception: The text goes in as it is.

Tell: Your writer sees [CLS] in the first place. The stack has three tasks, and [DEC] is how it knows that
it should write.
Caught by: the_first_token_gives_way_to_write_id, each_word_is_learned_from_what_stands_before_it,
write_id_stands_in_the_first_place_alone, padding_is_not_learned, a_text_of_one_word_is_learned,
smoothing_is_spread_over_all_words, the_picture_learns
"""

import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = ids
    logits = writing_logits(visual, asked, keep)
    says, target = logits[:, :-1], ids[:, 1:].masked_fill(~keep[:, 1:], -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
