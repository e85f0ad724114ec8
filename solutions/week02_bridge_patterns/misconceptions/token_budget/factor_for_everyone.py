"""Misconception: The factor merges tokens whatever the bridge.

Tell: You divide by the factor for every projector. Only pixel_shuffle merges; the others hand on every
patch, whatever factor says.
Caught by: a_projector_hands_on_every_patch
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = max(1, found["per_image"] // factor**2) if bridge in ("linear", "mlp") else found["per_image"]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
