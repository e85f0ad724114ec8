"""Misconception: Merging by a factor divides the tokens by that factor.

Tell: You divide the patches by the factor once. A block is factor high and factor wide, so factor 2
leaves a quarter, not a half.
Caught by: a_pixel_shuffle_leaves_one_token_a_block
"""

from course_lib.token_budget import token_budget as reference


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    found = reference(bridge, image_size, patch_size, context, text_per_turn, factor, n_queries)
    per_image = (
        reference("mlp", image_size, patch_size, context, text_per_turn)["per_image"] // factor
        if bridge == "pixel_shuffle"
        else found["per_image"]
    )
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
