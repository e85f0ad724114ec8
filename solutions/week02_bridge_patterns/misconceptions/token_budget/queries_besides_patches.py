"""Misconception: The queries come on top of the patches.

Tell: You count patches and queries under a Q-Former. The queries have read the patches, and only the
queries are handed on: that is the point of it.
Caught by: a_qformer_costs_its_queries, a_qformer_hands_on_its_queries
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = (
        n_queries + reference("mlp", image_size, patch_size, context, text_per_turn)["per_image"]
        if bridge == "qformer"
        else found["per_image"]
    )
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
