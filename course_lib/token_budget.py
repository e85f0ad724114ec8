"""Token budget: how many turns of a conversation with pictures fit into a context window.

A bridge decides how many positions of the language model's stream one picture takes. Projection hands on
every patch, merging a quarter of them or less, a Q-Former as many tokens as it has queries. Under gated
cross-attention the picture never enters the stream: what stands there is its tag, one position, whatever a
resampler hands to the cross-attention layers.

Source: counts of LLaVA, arXiv:2304.08485; BLIP-2, arXiv:2301.12597; Flamingo, arXiv:2204.14198, section 2.4.
"""

BRIDGES = ("linear", "mlp", "pixel_shuffle", "qformer", "gated_cross_attention")


def token_budget(
    bridge: str,
    image_size: int,
    patch_size: int,
    context: int,
    text_per_turn: int,
    factor: int = 1,
    n_queries: int = 32,
) -> dict[str, int]:
    """Count tokens of a conversation in which every turn shows one picture and says something.

    Args:
        bridge: one of `BRIDGES`.
        image_size: side of the square picture in pixels.
        patch_size: side of a square patch in pixels; the encoder's class token is not handed on.
        context: length of the window in tokens.
        text_per_turn: tokens of text in a turn, question and answer together.
        factor: side of a merged block in patches; only pixel_shuffle reads it.
        n_queries: learned queries; only qformer reads it.

    Returns:
        per_image: tokens of one picture in the language model's stream.
        turns: whole turns that fit.
        left: tokens that remain after them.

    Raises:
        ValueError: the bridge is unknown, patches do not tile the picture, or blocks do not tile the patches.
    """
    if bridge not in BRIDGES:
        raise ValueError(f"there is no bridge {bridge!r}; choose one of {', '.join(BRIDGES)}.")
    if image_size % patch_size:
        raise ValueError(
            f"patches of {patch_size} pixels do not tile a picture of {image_size}; "
            "choose a patch_size that divides image_size."
        )
    side = image_size // patch_size
    if bridge == "pixel_shuffle" and side % factor:
        raise ValueError(
            f"blocks of {factor} do not tile {side} x {side} patches; choose a factor that divides {side}."
        )
    per_image = {
        "linear": side**2,
        "mlp": side**2,
        "pixel_shuffle": (side // factor) ** 2,
        "qformer": n_queries,
        "gated_cross_attention": 1,
    }[bridge]
    turns, left = divmod(context, per_image + text_per_turn)
    return {"per_image": per_image, "turns": turns, "left": left}
