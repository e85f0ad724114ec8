"""Misconception: A Q-Former has 32 queries.

Tell: You count 32 tokens under every Q-Former. BLIP-2's has 32; here the number is an argument.
Caught by: a_qformer_costs_its_queries, a_qformer_hands_on_its_queries
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = 32 if bridge == "qformer" else found["per_image"]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
