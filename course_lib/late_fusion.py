"""Late fusion: a picture and a question become one vector each, and only these two meet.

Each side is summarised without knowing of the other, so whatever the question asks for has to be in the
picture's one vector already. What stood where is gone with the mean over tokens.

Axes in this file:
    b  pairs    v  visual tokens    t  tokens of a question    d_visual d_text  their widths
    e  width in which the two are compared    a  possible answers

Source: two towers as in CLIP, arXiv:2103.00020, with a head on both vectors and their product.
"""

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor, nn


def masked_mean(tokens: Float[Tensor, "b s d"], keep: Bool[Tensor, "b s"] | None) -> Float[Tensor, "b d"]:
    """Mean over the tokens that are kept (True = keep; None keeps all); zeros where none is."""
    if keep is None:
        return tokens.mean(dim=1)
    kept = keep.to(tokens.dtype)
    tokens = tokens.masked_fill(~keep[:, :, None], 0.0)  # 0 times NaN is NaN, and padding may hold anything
    return einsum(tokens, kept, "b s d, b s -> b d") / kept.sum(dim=1, keepdim=True).clamp(min=1.0)


class LateFusion(nn.Module):
    """Answers from one vector of the picture and one of the question.

    Args:
        d_visual: width of a visual token.
        d_text: width of a token of the question.
        d_shared: width of each of the two vectors.
        n_answers: possible answers.

    Shapes:
        visual       float[b v d_visual]
        text         float[b t d_text]
        visual_mask  bool[b v]   True = keep; None means all are kept
        text_mask    bool[b t]   True = keep; None means all are kept
        returns      float[b n_answers]   logits
    """

    def __init__(self, d_visual: int, d_text: int, d_shared: int, n_answers: int) -> None:
        super().__init__()
        self.picture = nn.Linear(d_visual, d_shared)
        self.question = nn.Linear(d_text, d_shared)
        self.head = nn.Sequential(
            nn.Linear(3 * d_shared, d_shared), nn.GELU(), nn.Linear(d_shared, n_answers)
        )

    def forward(
        self,
        visual: Float[Tensor, "b v d_visual"],
        text: Float[Tensor, "b t d_text"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
        text_mask: Bool[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b n_answers"]:
        seen = self.picture(masked_mean(visual, visual_mask))
        asked = self.question(masked_mean(text, text_mask))
        logits: Tensor = self.head(torch.cat([seen, asked, seen * asked], dim=-1))
        return logits
