"""Misconception: Cross-entropy wants probabilities.

Tell: Your logits go through a softmax before F.cross_entropy, which takes one itself: even a sure judge
pays now.
Caught by: a_judge_who_always_says_the_same_pays_a_known_price,
right_pairs_wrong_texts_and_wrong_pictures_are_judged, one_pair_in_three_matches,
both_kinds_of_wrong_numbers_are_used, padding_of_a_wrong_text_changes_nothing,
the_same_pairs_twice_cost_the_same, pictures_learn_from_every_pair
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
    right = torch.cat([torch.ones(b), torch.zeros(2 * b)]).long()
    return F.cross_entropy(logits.softmax(dim=1), right)
