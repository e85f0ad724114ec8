"""Misconception: Class 0 means that a pair matches.

Tell: Your targets say 0 for a pair that matches. The two logits are (does not match, matches), so a match
is class 1.
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
    right = torch.cat([torch.zeros(b), torch.ones(2 * b)]).long()
    return F.cross_entropy(logits, right)
