"""The parts of a BERT layer: attention and a feed-forward, each followed by add and norm.

Axes in this file:
    b  rows    s i  tokens that look    j  tokens looked at    d  width    h  heads    e  width of one head

Parameter names and arithmetic are those of transformers' Q-Former (5.23), which has them from BERT; tests
hold the two within 1e-5.

Source: Devlin et al. 2018, BERT, arXiv:1810.04805.
"""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

EPSILON = 1e-12  # BERT's


class _Projections(nn.Module):
    def __init__(self, d_model: int, d_source: int) -> None:
        super().__init__()
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_source, d_model)
        self.value = nn.Linear(d_source, d_model)


class AddNorm(nn.Module):
    """LayerNorm(dense(new) + old)."""

    def __init__(self, d_in: int, d_model: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(d_in, d_model)
        self.LayerNorm = nn.LayerNorm(d_model, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, new: Float[Tensor, "b s d_in"], old: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        out: Tensor = self.LayerNorm(self.dropout(self.dense(new)) + old)
        return out


class Hidden(nn.Module):
    """The wide half of a feed-forward: a linear map and an exact GELU."""

    def __init__(self, d_model: int, d_hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_hidden)

    def forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d_hidden"]:
        return F.gelu(self.dense(tokens))


class PostNormAttention(nn.Module):
    """Multi-head attention, then add and norm.

    Shapes:
        asking   float[b s d]
        source   float[b j d_source]   what is read
        sees     bool[b i j] or bool[b 1 j]   True where token i may see token j; None lets everything see all
        returns  float[b s d]
    """

    def __init__(self, d_model: int, d_source: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.rate = dropout
        self.attention = _Projections(d_model, d_source)
        self.output = AddNorm(d_model, d_model, dropout)

    def forward(
        self,
        asking: Float[Tensor, "b s d"],
        source: Float[Tensor, "b j d_source"],
        sees: Bool[Tensor, "b i j"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        q, k, values = (
            rearrange(project(tokens), "b s (h e) -> b h s e", h=self.n_heads)
            for project, tokens in (
                (self.attention.query, asking),
                (self.attention.key, source),
                (self.attention.value, source),
            )
        )
        mask = None if sees is None else rearrange(sees, "b i j -> b 1 i j")
        rate = self.rate if self.training else 0.0
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=mask, dropout_p=rate)
        out: Tensor = self.output(rearrange(read, "b h s e -> b s (h e)"), asking)
        return out
