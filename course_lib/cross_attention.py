"""Cross-attention: the text asks, the picture answers.

Every text token looks at all visual tokens and takes a weighted mean of them. The two streams keep their own
widths and lengths; they meet only inside a head. Nothing is causal here: a picture has no "later".

Axes in this file:
    b  rows of the batch      t  text tokens (they ask)      v  visual tokens (they answer)
    h  heads                  e  width of one head

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; as a bridge: Alayrac et al. 2022, Flamingo,
arXiv:2204.14198.
Differs from transformers' IdeficsAttention in one thing: the output projection has a bias, so a row that may
look at nothing must be set to zero after it.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn


class CrossAttention(nn.Module):
    """Multi-head attention with queries from the text, keys and values from the picture.

    Args:
        d_text: width of a text token, in and out.
        d_visual: width of a visual token.
        n_heads: number of heads.
        d_head: width of one head; n_heads * d_head need not be d_text.

    Shapes:
        text         float[b t d_text]
        visual       float[b v d_visual]
        visual_mask  bool[b v]   True = keep; None means all are kept
        returns      float[b t d_text]   exactly zero, with finite gradients, where a row keeps nothing
    """

    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.d_head = d_head
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.out_proj = nn.Linear(n_heads * d_head, d_text)

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b v d_visual"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        q = rearrange(self.q_proj(text), "b t (h e) -> b h t e", h=self.n_heads)
        k = rearrange(self.k_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        values = rearrange(self.v_proj(visual), "b v (h e) -> b h v e", h=self.n_heads)
        scores = einsum(q, k, "b h t e, b h v e -> b h t v") * self.d_head**-0.5
        if visual_mask is not None:
            # The lowest finite number, not -inf: a row of -inf is NaN after softmax, and NaN in its gradient.
            hidden = ~rearrange(visual_mask, "b v -> b 1 1 v")
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        read = einsum(scores.softmax(dim=-1), values, "b h t v, b h v e -> b h t e")
        out: Tensor = self.out_proj(rearrange(read, "b h t e -> b t (h e)"))
        if visual_mask is not None:
            # A row that keeps nothing has read the mean of what it must not see: that goes, bias and all.
            out = out.masked_fill(~rearrange(visual_mask.any(dim=1), "b -> b 1 1"), 0.0)
        return out
