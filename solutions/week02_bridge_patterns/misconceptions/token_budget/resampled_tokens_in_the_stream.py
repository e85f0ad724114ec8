"""Misconception: A resampler hands 64 tokens a picture to the language model.

Tell: You count 64 tokens a picture under gated cross-attention. The resampler makes 64, but they are
read through cross-attention and never stand among the words; the stream holds the picture's tag, one
token.
Caught by: gated_cross_attention_costs_one_tag
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = 64 if bridge == "gated_cross_attention" else found["per_image"]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
