"""A gate on cross-attention: the frozen language model first stays itself, then learns how far to open.

The block adds tanh(alpha) times what the text read in the picture. alpha starts at 0, so at first the block
returns the text bit for bit. At that moment alpha is the only parameter with a gradient; once it has moved,
the attention learns too. The sign of alpha is arbitrary. The gate adds and does not mix: nothing of the text
is ever taken away.

Axes in this file:
    b  rows of the batch      t  text tokens      v  visual tokens

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, figure 4.
Differs from it: one gate. Flamingo's block also has a feed-forward with a gate of its own; that is week 3.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class GatedCrossAttention(nn.Module):
    """text + tanh(alpha) * attention(norm(text), visual, visual_mask).

    Args:
        attention: called as attention(text, visual, visual_mask), returns float[b t d_text].
        d_text: width of a text token.

    Shapes:
        text         float[b t d_text]
        visual       float[b v d_visual]   the width that `attention` takes
        visual_mask  bool[b v]   True = keep; None means all are kept
        returns      float[b t d_text]
    """

    def __init__(self, attention: nn.Module, d_text: int) -> None:
        super().__init__()
        self.attention = attention
        self.norm = nn.LayerNorm(d_text)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b v d_visual"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        read = self.attention(self.norm(text), visual, visual_mask)
        out: Tensor = text + self.alpha.tanh() * read
        return out
