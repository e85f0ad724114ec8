"""Where each word looks: the cross-attention weights of a trained model, over its pictures.

    with cross_attention_seen(blocks, n_heads) as seen:
        model(...)
    seen[0].weights     # b h t s, from the first block; a token that may read nothing has a row of zeros

The layer is not asked to cooperate. Hooks note what goes into it, and the weights are worked out again from
its `q_proj` and `k_proj`; that they are the right ones is checked with its `v_proj` and `o_proj`, which must
turn them into what the layer itself returned.

`gaze` brings one row together: its words, its pictures, and who read what. `course_lib.looking` shows it.

Axes in this file:
    b  rows      t  text tokens      s  visual tokens of a row: n pictures of r c, one after another
    h  heads     l  blocks           n  pictures      r c  rows and columns of a picture's visual tokens
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from course_lib.errors import CourseError, ShapeError

TOLERANCE = 1e-4  # of what a layer returned: float32 needs a thousandth of it


@dataclass(frozen=True)
class Seen:
    """What one block's cross-attention looked at.

    Args:
        weights: each row sums to 1, or is zero for a token that may read nothing.
        gap: between what the layer returned and what these weights give through `v_proj` and `o_proj`,
            as a share of the largest number the layer returned.
    """

    weights: Float[Tensor, "b h t s"]
    gap: float


@contextmanager
def cross_attention_seen(
    blocks: Sequence[nn.Module] | nn.ModuleList, n_heads: int
) -> Iterator[dict[int, Seen]]:
    """Inside the `with`, every block leaves what its cross-attention looked at in the dict, by its place.

    A block that runs twice leaves what it looked at last. The blocks are left as they were.

    Args:
        blocks: gated blocks, or the attentions themselves: called as (text, visual, media_mask), with
            `q_proj`, `k_proj`, `v_proj` and `o_proj`.
        n_heads: heads of each; their width follows from `q_proj`.

    Raises:
        CourseError: a block has no such attention.
        ShapeError: n_heads does not divide what `q_proj` gives.
    """
    seen: dict[int, Seen] = {}
    handles = []

    def keep_as(place: int) -> Any:
        def keep(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
            given = {**dict(zip(("text", "visual", "media_mask"), args, strict=False)), **kwargs}
            seen[place] = _seen(
                layer, n_heads, given["text"], given["visual"], given.get("media_mask"), output
            )

        return keep

    attentions = [_attention_of(block, place) for place, block in enumerate(blocks)]
    try:
        for place, layer in enumerate(attentions):
            handles.append(layer.register_forward_hook(keep_as(place), with_kwargs=True))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _attention_of(block: nn.Module, place: int) -> nn.Module:
    for part in block.modules():
        if all(hasattr(part, name) for name in ("q_proj", "k_proj", "v_proj", "o_proj")):
            return part
    raise CourseError(
        f"block {place}, a {type(block).__name__}, has no part with q_proj, k_proj, v_proj and o_proj; give "
        "gated blocks whose attention has these four."
    )


@torch.no_grad()
def _seen(
    layer: Any, n_heads: int, text: Tensor, visual: Tensor, media_mask: Tensor | None, output: Tensor
) -> Seen:
    q, k, values = layer.q_proj(text), layer.k_proj(visual), layer.v_proj(visual)
    if q.shape[-1] % n_heads:
        raise ShapeError(f"q_proj gives {q.shape[-1]} numbers, which n_heads={n_heads} does not divide.")
    q, k, values = (rearrange(x, "b s (h e) -> b h s e", h=n_heads) for x in (q, k, values))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if media_mask is not None:
        scores = scores.masked_fill(~rearrange(media_mask, "b t s -> b 1 t s"), -torch.inf)
    weights = scores.softmax(dim=-1).nan_to_num(nan=0.0)  # a row that keeps nothing is 0/0
    again = layer.o_proj(rearrange(weights @ values, "b h t e -> b t (h e)"))
    if media_mask is not None:  # should o_proj have a bias, a token that reads nothing does not get it
        again = again * rearrange(media_mask.any(dim=2), "b t -> b t 1")
    gap = (again - output).abs().max() / output.abs().max().clamp(min=1e-30)
    return Seen(weights, float(gap))


@dataclass(frozen=True)
class Gaze:
    """One row of words, its pictures, and how much of each picture each word read.

    Args:
        words: one for each text token.
        pictures: as in the row's tags.
        index: which picture each word reads, from 1; 0 for none.
        weights: 0 wherever a word may not look.
        layers: what to call each block.
        gap: the largest of the blocks' gaps, see `Seen`.

    Shapes:
        pictures  uint8[n y x 3]
        weights   float[l h t n r c]
    """

    words: Sequence[str]
    pictures: UInt8[np.ndarray, "n y x 3"]
    index: Sequence[int]
    weights: Float[np.ndarray, "l h t n r c"]
    layers: Sequence[str]
    gap: float

    def map(self, layer: int, head: int | None, token: int) -> Float[np.ndarray, "r c"]:
        """Weights over the picture that the token reads; head None is the mean. Zeros if it reads none."""
        every = self.weights[layer, :, token]
        of_one = every.mean(axis=0) if head is None else every[head]
        picture = self.index[token]
        return of_one[picture - 1] if picture else np.zeros(self.weights.shape[-2:])

    def said(self, layer: int, head: int | None, token: int) -> str:
        """What a token reads, in words: "reads picture 2: most at row 1, column 3 (.41)"."""
        if not self.index[token]:
            return "reads nothing"
        values = self.map(layer, head, token)
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        most = share(float(values.max()))
        return f"reads picture {self.index[token]}: most at row {row + 1}, column {column + 1} ({most})"


def gaze(
    run: Callable[[], object],
    blocks: Sequence[nn.Module] | nn.ModuleList,
    n_heads: int,
    words: Sequence[str],
    pictures: UInt8[np.ndarray, "n y x 3"],
    grid: tuple[int, int],
    index: Sequence[int],
    layers: Sequence[str] | None = None,
) -> Gaze:
    """Run a model once on one row, and note where its words look.

    Args:
        run: does one forward pass of one row.
        blocks, n_heads: as in `cross_attention_seen`.
        words: one for each text token of the row.
        pictures: one for each tag.
        grid: rows and columns that the visual tokens of a picture make, in reading order.
        index: which picture each token reads, from 1; 0 for none.
        layers: what to call each block; None counts them from 1.

    Raises:
        ShapeError: words, index, pictures and grid do not fit what was seen, or more than one row was.
        CourseError: a block did not run, or what it returned is not made from these weights.
    """
    with cross_attention_seen(blocks, n_heads) as seen:
        run()
    missing = [place for place in range(len(blocks)) if place not in seen]
    if missing:
        raise CourseError(f"blocks {missing} did not run; give the blocks of the model that `run` calls.")
    weights = torch.stack([seen[place].weights for place in range(len(blocks))])  # l b h t s
    n, (rows, columns), tokens = len(pictures), grid, len(words)
    wanted = (1, tokens, n * rows * columns)
    found = (weights.shape[1], weights.shape[3], weights.shape[4])
    if found != wanted or len(index) != tokens:
        raise ShapeError(
            f"{tokens} words, {len(index)} numbers of pictures and {n} pictures of {rows} x {columns} visual "
            f"tokens need {wanted} (rows, text tokens, visual tokens), and the blocks saw {found}."
        )
    gap = max(one.gap for one in seen.values())
    if gap > TOLERANCE:
        raise CourseError(
            f"what the attention returned is {gap:.1e} away from softmax(q k / sqrt(d_head)) v over the keys "
            f"it may read, {TOLERANCE:.0e} allowed; check its scale and its mask before believing a map."
        )
    maps = rearrange(weights[:, 0], "l h t (n r c) -> l h t n r c", n=n, r=rows)
    names = [f"block {place + 1}" for place in range(len(blocks))] if layers is None else layers
    return Gaze(list(words), pictures, [int(i) for i in index], maps.cpu().float().numpy(), list(names), gap)


def share(value: float) -> str:
    """A weight with two digits, as it is written everywhere here: .41."""
    return f"{value:.2f}".lstrip("0") or "0"
