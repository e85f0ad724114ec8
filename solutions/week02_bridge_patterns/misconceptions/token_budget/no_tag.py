"""Misconception: Under gated cross-attention a picture costs nothing at all.

Tell: You count nothing under gated cross-attention. Almost right: the tag that says where the picture
belongs is a token of the text, so a picture costs one.
Caught by: gated_cross_attention_costs_one_tag
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = 0 if bridge == "gated_cross_attention" else found["per_image"]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
