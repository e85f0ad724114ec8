"""What a whole model costs, from its sizes alone: parameters, FLOPs of eye and bridge, tokens, memory.

    DecoderSizes, EncoderSizes     the sizes; those of published models are in `course_lib.real_sizes`
    decoder_parameters(...)        and encoder_, linear_, mlp_, resampler_, qformer_, gated_parameters
    encoder_flops(...)             and linear_, mlp_, qformer_flops; the others are in `course_lib.costs`
    picture_tokens(...)            of a picture of any size, whole or in tiles
    largest_side(...)              and pictures_that_fit: what a budget of tokens allows
    activation_bytes(...)          what a pass keeps in memory besides the weights

What reading a picture and writing an answer costs in the language model is an exercise, and not in here. An
error says the numbers, and the nearest that works.

Parameters are those of matrices, biases, norms and embeddings. FLOPs are counted as in `course_lib.costs`:
two for a multiplication and an addition in matrix products, nothing for norms, activations and softmax.

Axes in this file:
    t  tokens      v  visual tokens      q  queries or latents      d  width      w  words

Source: counted from the layers; tests hold parameters and FLOPs to transformers' models on the meta device.
"""

from dataclasses import dataclass
from typing import Literal

from course_lib.costs import matrix_flops
from course_lib.errors import ShapeError

RGB = 3

# -- sizes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecoderSizes:
    """The sizes of a language model; the field names of transformers' config are in the comments."""

    n_words: int  # vocab_size
    d_model: int  # hidden_size
    n_layers: int  # num_hidden_layers
    n_heads: int  # num_attention_heads: of the queries
    n_kv_heads: int  # num_key_value_heads: of keys and values; several query heads may share one
    d_head: int  # head_dim; n_heads * d_head need not be d_model
    d_hidden: int  # intermediate_size
    gated: bool = True  # three matrices in the feed-forward (SwiGLU), or two
    tied: bool = False  # tie_word_embeddings: the output is the embedding again


@dataclass(frozen=True)
class EncoderSizes:
    """The sizes of a vision transformer."""

    d_model: int
    n_layers: int
    n_heads: int
    d_hidden: int
    patch: int  # side of a square patch in pixels
    image: int  # side of the square picture it was trained on
    class_token: bool = True
    frames: int = 1  # pictures in one patch; Qwen2-VL takes two moments of a film together
    positions: bool = True  # learned, one a token; or none, where they are rotary


# -- parameters --------------------------------------------------------------------------------------------


def decoder_parameters(sizes: DecoderSizes) -> dict[str, int]:
    """Parameters of a decoder by part: "words", "attention", "feed-forward", "norms", and "total".

    Exact for a Llama. Biases and learned positions, which OPT has, are left out: 0.3 % of OPT-2.7B.
    """
    s = sizes
    parts = {
        "words": (1 if s.tied else 2) * s.n_words * s.d_model,
        "attention": s.n_layers * _attention(s.d_model, s.d_model, s.n_heads, s.n_kv_heads, s.d_head),
        "feed-forward": s.n_layers * _feed_forward(s),
        "norms": (2 * s.n_layers + 1) * s.d_model,
    }
    return {**parts, "total": sum(parts.values())}


def encoder_parameters(sizes: EncoderSizes) -> int:
    """Parameters of a vision transformer: patches, positions, layers with biases, and a norm at each end."""
    s, tokens = sizes, encoder_tokens(sizes)
    patches = s.frames * RGB * s.patch**2 * s.d_model
    layer = (
        4 * _linear(s.d_model, s.d_model) + _linear(s.d_model, s.d_hidden) + _linear(s.d_hidden, s.d_model)
    )
    ends = 4 * s.d_model + s.class_token * s.d_model + s.positions * tokens * s.d_model
    return patches + s.n_layers * (layer + 4 * s.d_model) + ends


def linear_parameters(d_visual: int, d_text: int) -> int:
    """A matrix and its bias: the first LLaVA's bridge, PaliGemma's, and Fuyu's from raw patches."""
    return _linear(d_visual, d_text)


def mlp_parameters(d_visual: int, d_text: int, d_hidden: int | None = None) -> int:
    """Two matrices with biases; LLaVA-1.5's bridge, whose hidden width is the text's."""
    hidden = d_text if d_hidden is None else d_hidden
    return _linear(d_visual, hidden) + _linear(hidden, d_text)


def resampler_parameters(d_model: int, n_latents: int, n_layers: int, n_heads: int, d_head: int) -> int:
    """A perceiver resampler as IDEFICS builds it: no biases, a feed-forward four times as wide, norms."""
    attention = _attention(d_model, d_model, n_heads, n_heads, d_head)
    layer = attention + 8 * d_model**2 + 3 * 2 * d_model
    return n_latents * d_model + n_layers * layer + 2 * d_model


def qformer_parameters(
    d_model: int,
    d_visual: int,
    d_text: int,
    n_queries: int,
    n_layers: int,
    d_hidden: int,
    look_every: int = 2,
) -> int:
    """BLIP-2's bridge in stage 2: queries, layers without the text's side, and one matrix into the text."""
    mixes = 4 * _linear(d_model, d_model) + 2 * d_model
    looks = 2 * _linear(d_model, d_model) + 2 * _linear(d_visual, d_model) + 2 * d_model
    feed = _linear(d_model, d_hidden) + _linear(d_hidden, d_model) + 2 * d_model
    layers = n_layers * (mixes + feed) + -(-n_layers // look_every) * looks
    return n_queries * d_model + layers + 2 * d_model + _linear(d_model, d_text)


def gated_parameters(sizes: DecoderSizes, d_visual: int) -> dict[str, int]:
    """One gated block with the decoder's own heads and feed-forward: "attention", "feed-forward", "total".

    The total has two norms and two gates as well. As in IDEFICS and in Llama-3.2-Vision.
    """
    s = sizes
    attention = _attention(s.d_model, d_visual, s.n_heads, s.n_kv_heads, s.d_head)
    total = attention + _feed_forward(s) + 2 * s.d_model + 2
    return {"attention": attention, "feed-forward": _feed_forward(s), "total": total}


# -- FLOPs of the eye and of bridges -----------------------------------------------------------------------


def encoder_flops(sizes: EncoderSizes, tiles: int = 1) -> int:
    """FLOPs of one picture through the encoder, or of several tiles, each by itself."""
    s, t = sizes, encoder_tokens(sizes)
    patches = matrix_flops(t - s.class_token, s.frames * RGB * s.patch**2, s.d_model)
    projections = 4 * matrix_flops(t, s.d_model, s.d_model)
    scores = 2 * matrix_flops(t, s.d_model, t)
    feed = 2 * matrix_flops(t, s.d_model, s.d_hidden)
    return tiles * (patches + s.n_layers * (projections + scores + feed))


def linear_flops(visual: int, d_visual: int, d_text: int) -> int:
    """FLOPs of one matrix over the visual tokens of a picture."""
    return matrix_flops(visual, d_visual, d_text)


def mlp_flops(visual: int, d_visual: int, d_text: int, d_hidden: int | None = None) -> int:
    """FLOPs of two matrices over the visual tokens of a picture."""
    hidden = d_text if d_hidden is None else d_hidden
    return matrix_flops(visual, d_visual, hidden) + matrix_flops(visual, hidden, d_text)


def qformer_flops(
    visual: int,
    d_model: int,
    d_visual: int,
    d_text: int,
    n_queries: int,
    n_layers: int,
    d_hidden: int,
    look_every: int = 2,
) -> int:
    """FLOPs of a Q-Former on one picture, and of the matrix into the text."""
    q = n_queries
    mixes = 4 * matrix_flops(q, d_model, d_model) + 2 * matrix_flops(q, d_model, q)
    looks = 2 * matrix_flops(q, d_model, d_model) + 2 * matrix_flops(visual, d_visual, d_model)
    looks += 2 * matrix_flops(q, d_model, visual)
    feed = 2 * matrix_flops(q, d_model, d_hidden)
    layers = n_layers * (mixes + feed) + -(-n_layers // look_every) * looks
    return layers + matrix_flops(q, d_model, d_text)


# -- tokens of a picture -----------------------------------------------------------------------------------


def encoder_tokens(sizes: EncoderSizes) -> int:
    """Tokens inside the encoder, the class token among them."""
    return picture_tokens(sizes.image, sizes.image, sizes.patch) + sizes.class_token


def picture_tokens(
    width: int,
    height: int,
    patch: int,
    merge: int = 1,
    tile: int | None = None,
    max_tiles: int = 4,
    thumbnail: bool = True,
    newlines: bool = False,
) -> int:
    """Visual tokens that one picture hands on.

    Args:
        width, height: of the picture in pixels; without tiles, merged patches must cover it exactly.
        patch: side of a patch in pixels.
        merge: side of a block of patches that become one token.
        tile: side of the square pictures that the encoder reads; None: the picture is read whole. The picture
            is covered by as few tiles as will do; what it does not fill of them is padding, and counted.
        max_tiles: how many tiles there may be, the thumbnail aside.
        thumbnail: whether the whole picture is read as one more tile. A single tile needs none.
        newlines: one token more at the end of each row of the joined tiles, as in LLaVA-NeXT.

    Raises:
        ShapeError: sizes do not divide, or the tiles are too many; the message has the nearest that works.
    """
    for name, value in {"width": width, "height": height, "patch": patch, "merge": merge}.items():
        _at_least(1, **{name: value})
    step = patch * merge
    if tile is None:
        for name, pixels in (("width", width), ("height", height)):
            if pixels % step:
                raise ShapeError(
                    f"{name}={pixels} is not a whole number of {_cells(patch, merge)}; "
                    f"the nearest {name} that is: {_nearest(pixels, step)}."
                )
        rows, columns = height // step, width // step
        return rows * columns + newlines * rows
    _at_least(1, tile=tile, max_tiles=max_tiles)
    if tile % step:
        raise ShapeError(
            f"tile={tile} is not a whole number of {_cells(patch, merge)}; "
            f"the nearest tile that is: {_nearest(tile, step)}."
        )
    across, down, side = -(-width // tile), -(-height // tile), tile // step
    if across * down > max_tiles:
        shrink = _largest_that_fits(width, height, tile, max_tiles)
        raise ShapeError(
            f"{width} x {height} pixels take {across} x {down} tiles of {tile}, and max_tiles={max_tiles}; "
            f"the nearest of this shape that fits is {shrink[0]} x {shrink[1]}."
        )
    detail = across * down * side**2 + newlines * down * side
    return detail + side**2 if thumbnail and across * down > 1 else detail


def largest_side(budget: int, patch: int, merge: int = 1) -> int:
    """The side in pixels of the largest square picture that takes at most `budget` tokens.

    Raises:
        ShapeError: not even one token is allowed.
    """
    _at_least(1, patch=patch, merge=merge)
    if budget < 1:
        raise ShapeError(
            f"budget={budget} tokens is less than any picture takes; the smallest, {patch * merge} x "
            f"{patch * merge} pixels, takes 1."
        )
    return int(budget**0.5 + 1e-9) * patch * merge


def pictures_that_fit(context: int, per_picture: int, text: int) -> int:
    """How many pictures stand in a context beside `text` tokens of text.

    Raises:
        ShapeError: not one fits; the message has what would.
    """
    _at_least(0, context=context, text=text)
    _at_least(1, per_picture=per_picture)
    if per_picture + text > context:
        room = context - text
        rest = f"a picture of at most {room} tokens fits beside it" if room > 0 else "the text alone fills it"
        raise ShapeError(
            f"a picture of {per_picture} tokens and {text} of text are {per_picture + text}, and the context "
            f"has {context}; {rest}; a context of {per_picture + text} would hold both."
        )
    return (context - text) // per_picture


# -- memory ------------------------------------------------------------------------------------------------


def activation_bytes(
    sizes: DecoderSizes,
    tokens: int,
    training: bool = False,
    bytes_per_number: int = 2,
    fused: bool = True,
    logits: Literal["last", "all"] = "last",
) -> int:
    """Bytes of activations in one pass of the decoder over one row, weights and cache not counted.

    Args:
        sizes: of the decoder.
        tokens: of the row.
        training: False: the largest single tensor that is alive at any moment. True: what the backward pass
            needs again, as a floor: what goes into each matrix product, norm, activation and product of two
            tensors, and the logits. A norm or a rotation written out in steps keeps some more.
        bytes_per_number: 2 in half precision.
        fused: whether attention is computed without writing the square of scores into memory.
        logits: of the last token, or of all. In training it is all.

    Raises:
        ShapeError: fewer than 0 tokens.
    """
    _at_least(0, tokens=tokens)
    s, t = sizes, tokens
    inner, kv, square = s.n_heads * s.d_head, s.n_kv_heads * s.d_head, s.n_heads * tokens**2
    said = t if training or logits == "all" else min(t, 1)
    if not training:
        alive = (t * s.d_model, t * inner, t * s.d_hidden, 0 if fused else square, said * s.n_words)
        return bytes_per_number * max(alive)
    norms = 2 * 2 * t * s.d_model  # what goes into each, and what comes out of it
    attention = 2 * t * inner + 2 * t * kv + (0 if fused else square)
    feed = (4 if s.gated else 2) * t * s.d_hidden  # before and after the activation; its partner, the product
    layers = s.n_layers * (norms + attention + feed)
    return bytes_per_number * (layers + 2 * t * s.d_model + said * s.n_words)


# -- small things ------------------------------------------------------------------------------------------


def _linear(d_in: int, d_out: int) -> int:
    return d_in * d_out + d_out


def _attention(d_asks: int, d_answers: int, n_heads: int, n_kv_heads: int, d_head: int) -> int:
    return 2 * d_asks * n_heads * d_head + 2 * d_answers * n_kv_heads * d_head


def _feed_forward(sizes: DecoderSizes) -> int:
    return (3 if sizes.gated else 2) * sizes.d_model * sizes.d_hidden


def _cells(patch: int, merge: int) -> str:
    return f"patches of {patch}" if merge == 1 else f"blocks of {merge} x {merge} patches of {patch}"


def _nearest(pixels: int, step: int) -> int:
    return max(step, (pixels + step // 2) // step * step)


def _largest_that_fits(width: int, height: int, tile: int, max_tiles: int) -> tuple[int, int]:
    """The largest picture of this shape that `max_tiles` tiles can cover, in whole pixels."""
    for across in range(width, 0, -1):
        down = max(1, across * height // width)
        if -(-across // tile) * -(-down // tile) <= max_tiles:
            return across, down
    return tile, max_tiles * tile  # a shape so long that one column of tiles is all there is


def _at_least(least: int, **given: int) -> None:
    for name, value in given.items():
        if value < least:
            raise ShapeError(f"{name}={value} is too small; give {least} or more.")
