"""Right: a match over the bridges, and turns counted by subtracting."""


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    per_side, cut = divmod(image_size, patch_size)
    if cut:
        raise ValueError(f"{image_size} pixels are not whole patches of {patch_size}: {cut} are left over")
    match bridge:
        case "linear" | "mlp":
            per_image = per_side * per_side
        case "pixel_shuffle":
            if per_side % factor != 0:
                raise ValueError(f"a side of {per_side} patches has no whole blocks of {factor}")
            per_image = per_side * per_side // (factor * factor)
        case "qformer":
            per_image = n_queries
        case "gated_cross_attention":
            per_image = 1
        case _:
            raise ValueError(f"unknown bridge: {bridge}")
    turns, left = 0, context
    while left >= per_image + text_per_turn:
        turns, left = turns + 1, left - per_image - text_per_turn
    return dict(left=left, turns=turns, per_image=per_image)
