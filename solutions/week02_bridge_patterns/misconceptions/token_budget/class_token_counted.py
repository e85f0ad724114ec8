"""Misconception: The encoder's class token is a visual token too.

Tell: You count one token more than there are patches. The encoder has a class token, 257 tokens for 256
patches, but LLaVA does not hand it on.
Caught by: every_patch_costs_a_token, a_projector_hands_on_every_patch
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = found["per_image"] + (bridge in ("linear", "mlp"))
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
