"""Misconception: [DEC] is put in front of the text.

Tell: You set write_id in front of [CLS] and teach the writer to say [CLS]. It takes the place of [CLS]: as
many tokens as before.
Caught by: the_first_token_gives_way_to_write_id, a_long_text_counts_word_by_word,
each_word_is_learned_from_what_stands_before_it, write_id_stands_in_the_first_place_alone,
padding_is_not_learned, a_text_of_one_word_is_learned, smoothing_is_spread_over_all_words,
the_picture_learns
"""

import torch
import torch.nn.functional as F
from einops import rearrange


def itg_loss(writing_logits, visual, ids, keep, write_id, smoothing=0.1):
    asked = torch.cat([ids.new_full((len(ids), 1), write_id), ids], dim=1)
    longer = torch.cat([keep.new_ones(len(ids), 1), keep], dim=1)
    logits = writing_logits(visual, asked, longer)
    says, target = logits[:, :-1], ids.masked_fill(~keep, -100)
    return F.cross_entropy(rearrange(says, "b t w -> (b t) w"), target.flatten(), label_smoothing=smoothing)
