"""Misconception: Under gated cross-attention the queries take their places in the stream.

Tell: You count n_queries tokens a picture under gated cross-attention. Nothing of the picture stands
among the words there but its tag, one token.
Caught by: gated_cross_attention_costs_one_tag
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = n_queries if bridge == "gated_cross_attention" else found["per_image"]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
