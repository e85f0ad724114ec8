"""Misconception: A wrong partner is the next one in the batch.

Tell: Your wrong texts and pictures are the neighbours in the batch. The drawn numbers, hard ones oftener,
are not used.
Caught by: right_pairs_wrong_texts_and_wrong_pictures_are_judged, both_kinds_of_wrong_numbers_are_used,
padding_of_a_wrong_text_changes_nothing, the_same_pairs_twice_cost_the_same, pictures_learn_from_every_pair
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual, visual.roll(1, 0)]),
        torch.cat([ids, ids.roll(1, 0), ids]),
        torch.cat([keep, keep.roll(1, 0), keep]),
    )
    right = torch.cat([torch.ones(b), torch.zeros(2 * b)]).long()
    return F.cross_entropy(logits, right)
