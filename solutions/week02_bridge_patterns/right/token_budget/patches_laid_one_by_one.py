"""Right: counting by laying patches and blocks, with no division."""


def tiles(length, step, what):
    count, there = 0, 0
    while there < length:
        count, there = count + 1, there + step
    if there != length:
        raise ValueError(f"{what} of {step} do not fill {length}")
    return count


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    if bridge not in {"linear", "mlp", "pixel_shuffle", "qformer", "gated_cross_attention"}:
        raise ValueError(f"there is no {bridge}")
    side = tiles(image_size, patch_size, "patches")
    if bridge == "pixel_shuffle":
        side = tiles(side, factor, "blocks")
    per_image = side**2
    if bridge == "qformer":
        per_image = n_queries
    elif bridge == "gated_cross_attention":
        per_image = 1
    turns = int(context // (per_image + text_per_turn))
    return {"per_image": per_image, "turns": turns, "left": context - turns * (per_image + text_per_turn)}
