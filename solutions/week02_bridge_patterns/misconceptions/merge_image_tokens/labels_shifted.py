"""Misconception: Labels are moved by one, so that each position holds the next word.

Tell: Your labels are moved by one place, so that each position holds the next word. The language
model's loss does that already: moved twice, the model learns to skip a word.
Caught by: visual_tokens_carry_no_label, labels_stay_with_their_words
"""

import torch

from course_lib.image_tokens import IGNORED
from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    end = torch.full_like(merged["labels"][:, :1], IGNORED)
    return {**merged, "labels": torch.cat([merged["labels"][:, 1:], end], dim=1)}
