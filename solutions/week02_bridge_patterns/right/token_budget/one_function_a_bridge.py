"""Right: a dictionary of small functions, one for each bridge."""


def patches(image_size, patch_size, block=1):
    if image_size % (patch_size * block):
        raise ValueError(f"{image_size} is no multiple of patch_size {patch_size} times factor {block}")
    return (image_size // (patch_size * block)) ** 2


COST = {
    "linear": lambda size, patch, factor, queries: patches(size, patch),
    "mlp": lambda size, patch, factor, queries: patches(size, patch),
    "pixel_shuffle": lambda size, patch, factor, queries: patches(size, patch, factor),
    "qformer": lambda size, patch, factor, queries: queries,
    "gated_cross_attention": lambda size, patch, factor, queries: 1,
}


def token_budget(bridge, image_size, patch_size, context, text_per_turn, factor=1, n_queries=32):
    try:
        cost = COST[bridge]
    except KeyError:
        raise ValueError("no such bridge") from None
    per_image = cost(image_size, patch_size, factor, n_queries)
    turn = per_image + text_per_turn
    return {"turns": context // turn, "left": context % turn, "per_image": per_image}
