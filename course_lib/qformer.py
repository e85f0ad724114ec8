"""A simplified Q-Former: a fixed number of learned queries reads the picture, and only they go on.

However many visual tokens a picture has, the language model gets `n_queries`. The queries see each other in
every layer and the picture in every second one, starting with the first.

Axes in this file:
    b  pictures in the batch      v  visual tokens      q  queries      d  width of a query (d_model)

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597; layer order and norms as in transformers' Blip2QFormerLayer.
With its weights copied, a layer agrees with transformers' to 1e-5, and so does the stack; tests hold that.
Differs from BLIP-2: no text side, so neither word embeddings nor a second feed-forward nor the three masks of
its first training stage; no LayerNorm on the queries before layer 0; no dropout; eps 1e-5, not 1e-12;
sizes are free, and nothing comes from BERT. Week 4 builds the real one.
"""

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.errors import ShapeError


class QFormerLayer(nn.Module):
    """The queries read each other, then the picture if this layer looks, then think alone. All post-norm.

    Args:
        d_visual: width of a visual token.
        n_heads: attention heads; must divide d_model.
        d_model: width of a query.
        looks: True if this layer reads the picture.
    """

    def __init__(self, d_visual: int, n_heads: int, d_model: int, looks: bool) -> None:
        super().__init__()
        self.looks = looks
        self.self_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.self_norm = nn.LayerNorm(d_model)
        if looks:
            self.cross_attention = nn.MultiheadAttention(
                d_model, n_heads, kdim=d_visual, vdim=d_visual, batch_first=True
            )
            self.cross_norm = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model)
        )
        self.feed_norm = nn.LayerNorm(d_model)

    def forward(
        self,
        queries: Float[Tensor, "b q d"],
        visual: Float[Tensor, "b v d_visual"],
        visual_mask: Bool[Tensor, "b v"],
    ) -> Float[Tensor, "b q d"]:
        said, _ = self.self_attention(queries, queries, queries, need_weights=False)
        queries = self.self_norm(queries + said)
        if self.looks:
            queries = self.cross_norm(queries + self._look(queries, visual, visual_mask))
        out: Tensor = self.feed_norm(queries + self.feed_forward(queries))
        return out

    def _look(
        self,
        queries: Float[Tensor, "b q d"],
        visual: Float[Tensor, "b v d_visual"],
        visual_mask: Bool[Tensor, "b v"],
    ) -> Float[Tensor, "b q d"]:
        """Read the picture. Where a picture keeps nothing, what was read is exactly zero."""
        sees = rearrange(visual_mask.any(dim=1), "b -> b 1")
        # torch's key_padding_mask is True = IGNORE. With everything ignored it gives NaN, or the bias of its
        # output projection: such a row looks at all of it, and what it saw is thrown away.
        ignore = ~visual_mask & sees
        read, _ = self.cross_attention(queries, visual, visual, key_padding_mask=ignore, need_weights=False)
        kept: Tensor = read.masked_fill(~rearrange(sees, "b 1 -> b 1 1"), 0.0)
        return kept


class SimplifiedQFormer(nn.Module):
    """Summarise `v` visual tokens in `n_queries` tokens of the language model's width.

    Args:
        d_visual: width of a visual token.
        d_text: width of a text token.
        n_queries: tokens handed on for each picture.
        n_layers: layers 0, 2, 4, ... look at the picture.
        n_heads: attention heads; must divide d_model.
        d_model: width of a query inside.

    Shapes:
        visual       float[b v d_visual]
        visual_mask  bool[b v]   True = keep; None means all are kept
        returns      float[b n_queries d_text]   finite, and the same for any picture that keeps nothing

    Raises:
        ShapeError: n_heads does not divide d_model.
    """

    def __init__(
        self, d_visual: int, d_text: int, n_queries: int, n_layers: int, n_heads: int, d_model: int
    ) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ShapeError(
                f"d_model={d_model} cannot be cut into n_heads={n_heads} equal heads; "
                f"choose an n_heads that divides {d_model}."
            )
        # Small, and no two alike: equal queries would get equal gradients and stay equal.
        self.queries = nn.Parameter(0.02 * torch.randn(n_queries, d_model))
        self.layers = nn.ModuleList(
            QFormerLayer(d_visual, n_heads, d_model, looks=i % 2 == 0) for i in range(n_layers)
        )
        self.to_text = nn.Linear(d_model, d_text)

    def forward(
        self, visual: Float[Tensor, "b v d_visual"], visual_mask: Bool[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b q d_text"]:
        if visual_mask is None:
            visual_mask = visual.new_ones(visual.shape[:2], dtype=torch.bool)
        queries = repeat(self.queries, "q d -> b q d", b=len(visual))
        for layer in self.layers:
            queries = layer(queries, visual, visual_mask)
        out: Tensor = self.to_text(queries)
        return out
