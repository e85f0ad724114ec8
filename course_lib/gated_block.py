"""GATED XATTN-DENSE: what stands before every n-th layer of a frozen language model in Flamingo.

    text = text + tanh(alpha_cross_attn) * attention(norm(text), visual, media_mask)
    text = text + tanh(alpha_dense)      * feed_forward(norm(text))

Two gates, each with its own number, both 0 at first: then the block returns the text bit for bit. A token
that may read no picture gets exactly nothing from the attention. The feed-forward is the block's own, and
holds most of its parameters.

Axes in this file:
    b  rows of the batch      t  text tokens (they ask)      s  visual tokens of all pictures of a row
    h  heads                  e  width of one head

Names and arithmetic are those of transformers' `IdeficsGatedCrossAttentionLayer` (5.23) without its optional
norms of queries and keys; tests hold the two within 1e-5.

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, figure 4 and section 2.2.
Differs from it: RMSNorm where the paper has LayerNorm, as in Idefics, whose language model is a Llama.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.errors import CourseError, ShapeError
from course_lib.language import LanguageSizes, SwiGLU

ALPHAS = ("float", "vector")  # one number for the block, or one for each channel


class MaskedCrossAttention(nn.Module):
    """Each text token reads the visual tokens that its row of the mask keeps.

    Args:
        d_text: width of a text token, in and out.
        d_visual: width of a visual token.
        n_heads: number of heads.
        d_head: width of one head; n_heads * d_head need not be d_text.

    Shapes:
        text        float[b t d_text]
        visual      float[b s d_visual]
        media_mask  bool[b t s]   True = keep; None means all are kept
        returns     float[b t d_text]   exactly zero, with finite gradients, for a token that keeps nothing

    Raises:
        ShapeError: the mask has another shape than text and visual ask for.
    """

    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_visual, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_text, bias=False)

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        if media_mask is not None and media_mask.shape != (*text.shape[:2], visual.shape[1]):
            raise ShapeError(
                f"media_mask is {tuple(media_mask.shape)}; {text.shape[0]} rows of {text.shape[1]} text "
                f"tokens and {visual.shape[1]} visual tokens need {(*text.shape[:2], visual.shape[1])}."
            )
        q, k, values = (
            rearrange(project(tokens), "b s (h e) -> b h s e", h=self.n_heads)
            for project, tokens in ((self.q_proj, text), (self.k_proj, visual), (self.v_proj, visual))
        )
        if media_mask is None:
            read = F.scaled_dot_product_attention(q, k, values)
            return self._out(read)
        # A row without a key is 0/0. On a CPU torch 2.13 makes it 0, and we do not count on that: such a row
        # reads everything, and what it read is taken away.
        blind = ~media_mask.any(dim=2, keepdim=True)  # b t 1
        sees = rearrange(media_mask | blind, "b t s -> b 1 t s")
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=sees)
        return self._out(read).masked_fill(blind, 0.0)

    def _out(self, read: Float[Tensor, "b h t e"]) -> Float[Tensor, "b t d_text"]:
        out: Tensor = self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
        return out


class GatedBlock(nn.Module):
    """Two gated additions: what the text reads in its picture, and what a feed-forward makes of it.

    Args:
        attention: called as attention(text, visual, media_mask), returns float[b t d_text].
        feed_forward: float[b t d_text] to float[b t d_text].
        d_text: width of a text token.
        alpha: "float", one number a gate; or "vector", one for each channel.
        epsilon: of the norms.

    Shapes:
        text        float[b t d_text]
        visual      float[b s d_visual]   the width that `attention` takes
        media_mask  bool[b t s]   True = keep; None means all are kept
        returns     float[b t d_text]

    Raises:
        CourseError: no such kind of gate.
    """

    def __init__(
        self,
        attention: nn.Module,
        feed_forward: nn.Module,
        d_text: int,
        alpha: str = "float",
        epsilon: float = 1e-6,
    ) -> None:
        super().__init__()
        if alpha not in ALPHAS:
            raise CourseError(f"There is no gate {alpha!r}; choose one of {', '.join(ALPHAS)}.")
        shape = (1,) if alpha == "float" else (1, 1, d_text)
        self.cross_attn = attention
        self.mlp = feed_forward
        self.input_layernorm = nn.RMSNorm(d_text, eps=epsilon)
        self.post_attention_layernorm = nn.RMSNorm(d_text, eps=epsilon)
        self.alpha_cross_attn = nn.Parameter(torch.zeros(shape))
        self.alpha_dense = nn.Parameter(torch.zeros(shape))

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        read = self.cross_attn(self.input_layernorm(text), visual, media_mask)
        text = text + self.alpha_cross_attn.tanh() * read
        out: Tensor = text + self.alpha_dense.tanh() * self.mlp(self.post_attention_layernorm(text))
        return out


def gated_block(
    d_text: int,
    d_visual: int,
    n_heads: int,
    d_hidden: int,
    d_head: int | None = None,
    alpha: str = "float",
) -> GatedBlock:
    """A gated block with the parts that Idefics gives it: masked cross-attention and a SwiGLU.

    Args:
        d_hidden: hidden units of the feed-forward.
        d_head: width of one head; None takes d_text / n_heads.
        d_text, d_visual, n_heads, alpha: as in `MaskedCrossAttention` and `GatedBlock`.

    Raises:
        ShapeError: n_heads does not divide d_text and d_head is not given.
    """
    if d_head is None:
        if n_heads < 1 or d_text % n_heads:
            raise ShapeError(
                f"d_text={d_text} cannot be cut into n_heads={n_heads} equal heads; choose an n_heads that "
                f"divides {d_text}, or give d_head."
            )
        d_head = d_text // n_heads
    feed_forward = SwiGLU(LanguageSizes(n_words=0, d_model=d_text, d_hidden=d_hidden))
    return GatedBlock(MaskedCrossAttention(d_text, d_visual, n_heads, d_head), feed_forward, d_text, alpha)
