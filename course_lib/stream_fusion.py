"""One door for all that meets inside a language model: tokens in its stream, blocks between layers, or both.

    enter   visual tokens stand in front of the words          concatenation: projector, bottleneck, raw
    blocks  words read the picture before every n-th layer     gated cross-attention
    both    a few tokens in front, all of them in the blocks   hybrid

Which pattern it is, its two arguments say. The language model is not edited: it takes embeddings, a mask and
positions, and calls `before_layer(i, hidden)` before layer i.

Axes in this file:
    b  rows    v  visual tokens as they come    p  visual tokens in the stream    t  words
    s  the stream: p, then t    d  width of a word    w  words of the vocabulary
    y x  rows and columns of the grid    i j  rows and columns of one cell of it

Sources: LLaVA, arXiv:2304.08485 (in front); Flamingo, arXiv:2204.14198 (between layers); NVLM,
arXiv:2409.11402 (both: a thumbnail in the stream, tiles between layers).
"""

from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import ShapeError


class StreamFusion(nn.Module):
    """A language model with visual tokens in front of its words, or blocks between its layers, or both.

    Args:
        language_model: called as language_model(embeds, sees, positions, before_layer), with its word
            embedding in `language_model.model.embed_tokens` and its layers in `language_model.model.layers`.
        enter: called as enter(visual), returns the tokens that stand in front of the words, float[b p d].
            None: no visual token in the stream.
        blocks: called as block(text, visual, visual_mask) on the words alone, before layer 0, interval,
            2 * interval and so on. None: no blocks.
        interval: 1 puts a block before every layer.

    Shapes:
        visual       float[b v d_visual]   or whatever `enter` takes
        ids          int[b t]
        keep         bool[b t]      True = keep: a word that is real
        visual_mask  bool[b v]      True = keep; handed to the blocks as it is
        sees         bool[b s s]    True where token i may see token j; None: what is real, up to itself
        positions    int[b s]       None: counted over what is real, from 0
        returns      float[b t w]   logits at each word, not at visual tokens

    Raises:
        ShapeError: neither enter nor blocks, or another number of blocks than there are places for.
    """

    def __init__(
        self,
        language_model: nn.Module,
        enter: nn.Module | None = None,
        blocks: nn.ModuleList | None = None,
        interval: int = 1,
    ) -> None:
        super().__init__()
        if enter is None and blocks is None:
            raise ShapeError(
                "neither enter nor blocks: the picture has no way in; give one of them, or both."
            )
        if blocks is not None:
            n_layers = len(language_model.get_submodule("model.layers")._modules)
            if interval < 1:
                raise ShapeError(f"interval={interval} is no interval; 1 puts a block before every layer.")
            places = len(range(0, n_layers, interval))
            if len(blocks) != places:
                raise ShapeError(
                    f"{n_layers} layers with interval={interval} have places for {places} blocks, and "
                    f"{len(blocks)} were given; give {places}."
                )
        self.language_model, self.enter, self.blocks, self.interval = language_model, enter, blocks, interval

    def forward(
        self,
        visual: Tensor,
        ids: Int[Tensor, "b t"],
        keep: Bool[Tensor, "b t"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
        sees: Bool[Tensor, "b s s"] | None = None,
        positions: Int[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b t w"]:
        words = self.language_model.get_submodule("model.embed_tokens")(ids)
        front = words[:, :0] if self.enter is None else self.enter(visual)
        p = front.shape[1]
        real = torch.cat([keep.new_ones(front.shape[:2]), keep], dim=1)
        if positions is None:
            positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)

        def before_layer(i: int, hidden: Tensor) -> Tensor:
            if self.blocks is None or i % self.interval:
                return hidden
            text: Tensor = self.blocks[i // self.interval](hidden[:, p:], visual, visual_mask)
            return torch.cat([hidden[:, :p], text], dim=1)

        stream = torch.cat([front, words], dim=1)
        logits: Any = self.language_model(stream, real if sees is None else sees, positions, before_layer)
        found: Tensor = logits[:, p:]
        return found


def thumbnail(visual: Float[Tensor, "b v d"], grid: tuple[int, int], side: int) -> Float[Tensor, "b n d"]:
    """A coarse copy of a grid of tokens: the mean of each of side x side cells.

    Args:
        visual: tokens of pictures whose patches were read row by row.
        grid: rows and columns of patches; their product is v.
        side: rows, and columns, of the copy; divides both.

    Shapes:
        visual   float[b v d]
        returns  float[b side*side d]   row by row

    Raises:
        ShapeError: the grid does not hold v tokens, or side does not divide it; the message names the nearest
            side that works.
    """
    rows, columns = grid
    if rows * columns != visual.shape[1]:
        raise ShapeError(
            f"a grid of {rows} x {columns} holds {rows * columns} tokens, and {visual.shape[1]} were given; "
            "give the grid of the picture, without a class token."
        )
    if side < 1 or rows % side or columns % side:
        fits = [n for n in range(1, min(rows, columns) + 1) if rows % n == columns % n == 0]
        near = min(fits, key=lambda n: abs(n - side))
        raise ShapeError(
            f"side={side} does not divide a grid of {rows} x {columns}; the nearest that does is {near}."
        )
    cells = rearrange(visual, "b (y i x j) d -> b (y x) (i j) d", y=side, x=side, i=rows // side)
    return reduce(cells, "b n cell d -> b n d", "mean")
