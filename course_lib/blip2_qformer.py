"""BLIP-2's Q-Former: learned queries and text in one stack, one self-attention for both, a feed-forward each.

Queries and text stand side by side, queries first. In each layer they meet in one self-attention, and a mask
says who may see whom; then the queries alone read the picture, in every second layer from the first; then
each side has a feed-forward of its own. Always add, then norm (post-norm, as in BERT).

Axes in this file:
    b  pairs of picture and text      q  queries      t  text tokens      s  queries, then text
    i j  a token that looks, a token looked at        v  visual tokens    d  width of queries and text

Parameter names and arithmetic are those of transformers' `Blip2QFormerModel` (5.23); tests hold the two
within 1e-5. InstructBLIP's Q-Former is the same, with the first norm kept among the embeddings.

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597, section 3.1. Devlin et al. 2018, BERT, arXiv:1810.04805.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.errors import ShapeError
from course_lib.post_norm import EPSILON, AddNorm, Hidden, PostNormAttention


class QFormerLayer(nn.Module):
    """All see each other as far as the mask lets them, the queries read the picture, each side thinks.

    Args:
        looks: True if the queries read the picture in this layer.
        text: True if there is a feed-forward for text.
    """

    def __init__(
        self,
        d_model: int,
        d_visual: int,
        n_heads: int,
        d_hidden: int,
        looks: bool,
        text: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.looks = looks
        self.attention = PostNormAttention(d_model, d_model, n_heads, dropout)
        if looks:
            self.crossattention = PostNormAttention(d_model, d_visual, n_heads, dropout)
        if text:
            self.intermediate = Hidden(d_model, d_hidden)
            self.output = AddNorm(d_hidden, d_model, dropout)
        self.intermediate_query = Hidden(d_model, d_hidden)
        self.output_query = AddNorm(d_hidden, d_model, dropout)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        n_queries: int,
        sees: Bool[Tensor, "b s s"] | None = None,
        visual: Float[Tensor, "b v d_visual"] | None = None,
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        done = []
        if n_queries:
            if self.looks:
                if visual is None:
                    raise ShapeError(
                        f"{n_queries} queries and no picture to read; give visual, or n_queries=0."
                    )
                keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
                queries = self.crossattention(queries, visual, keep)
            done.append(self.output_query(self.intermediate_query(queries), queries))
        if text.shape[1]:
            done.append(self.output(self.intermediate(text), text))
        return torch.cat(done, dim=1)


class _Layers(nn.Module):
    def __init__(self, layers: list[QFormerLayer]) -> None:
        super().__init__()
        self.layer = nn.ModuleList(layers)


class QFormer(nn.Module):
    """A norm, then the layers.

    Args:
        d_model: width of queries and text.
        d_visual: width of a visual token.
        n_layers, n_heads, d_hidden: depth, heads (n_heads divides d_model), hidden units of a feed-forward.
        cross_every: the queries read the picture in layers 0, cross_every, 2 cross_every, ...
        text: False leaves the text's feed-forwards out, as stage 2 does.
        dropout: share of numbers set to zero in training.

    Shapes:
        tokens       float[b s d]   queries, then text
        sees         bool[b s s]    True where token i may see token j; None lets everything see all
        visual       float[b v d_visual]
        visual_mask  bool[b v]      True = keep; None means all are kept
        returns      float[b s d]

    Raises:
        ShapeError: n_heads does not divide d_model; cross_every below 1; more queries than tokens; queries
            without a picture; text without its own feed-forwards.
    """

    def __init__(
        self,
        d_model: int,
        d_visual: int,
        n_layers: int,
        n_heads: int,
        d_hidden: int,
        cross_every: int = 2,
        text: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if n_heads < 1 or d_model % n_heads:
            raise ShapeError(
                f"d_model={d_model} cannot be cut into n_heads={n_heads} equal heads; choose an n_heads that "
                f"divides {d_model}."
            )
        if cross_every < 1:
            raise ShapeError(
                f"cross_every={cross_every} names no layer that reads the picture; give at least 1 "
                "(all of them)."
            )
        self.text = text
        self.layernorm = nn.LayerNorm(d_model, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.encoder = _Layers(
            [
                QFormerLayer(d_model, d_visual, n_heads, d_hidden, n % cross_every == 0, text, dropout)
                for n in range(n_layers)
            ]
        )

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        n_queries: int,
        sees: Bool[Tensor, "b s s"] | None = None,
        visual: Float[Tensor, "b v d_visual"] | None = None,
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        if not 0 <= n_queries <= tokens.shape[1]:
            raise ShapeError(
                f"n_queries={n_queries} cannot be among {tokens.shape[1]} tokens; give a number from 0 to "
                f"{tokens.shape[1]}."
            )
        if not self.text and tokens.shape[1] > n_queries:
            raise ShapeError(
                f"{tokens.shape[1] - n_queries} text tokens come in, and this Q-Former was built without "
                "its text side; build it with text=True."
            )
        tokens = self.dropout(self.layernorm(tokens))
        for layer in self.encoder.layer:
            tokens = layer(tokens, n_queries, sees, visual, visual_mask)
        return tokens
