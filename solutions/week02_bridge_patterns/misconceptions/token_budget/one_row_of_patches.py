"""Misconception: The number of patches is the side over the patch.

Tell: You count the patches in one row. The picture has as many rows.
Caught by: every_patch_costs_a_token, a_projector_hands_on_every_patch
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = image_size // patch_size if bridge in ("linear", "mlp") else found["per_image"]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
