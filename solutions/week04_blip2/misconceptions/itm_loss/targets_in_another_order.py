"""Misconception: The targets go pair by pair, the rows kind by kind.

Tell: Your targets are 1 0 0 1 0 0 ..., and your rows are b right pairs, then b, then b. Both in one order,
please.
Caught by: right_pairs_wrong_texts_and_wrong_pictures_are_judged, both_kinds_of_wrong_numbers_are_used,
padding_of_a_wrong_text_changes_nothing, the_same_pairs_twice_cost_the_same, pictures_learn_from_every_pair
"""

import torch
import torch.nn.functional as F


def itm_loss(match_logits, visual, ids, keep, wrong_text, wrong_picture):
    b = len(visual)
    logits = match_logits(
        torch.cat([visual, visual, visual[wrong_picture]]),
        torch.cat([ids, ids[wrong_text], ids]),
        torch.cat([keep, keep[wrong_text], keep]),
    )
    right = torch.tensor([1, 0, 0]).repeat(b)
    return F.cross_entropy(logits, right)
