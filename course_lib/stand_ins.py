"""Plain parts that a check hands to a learner's code in place of an earlier exercise.

An exercise that needs "some attention" or "some model" must not depend on the learner's own: one mistake
would cost marks twice. These parts are deliberately dull, and know nothing about any right answer.

Axes in this file:
    b  rows of the batch      t  text tokens      v  visual tokens
    s  visual tokens of all pictures of a row
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.errors import CourseError


class LinearRead(nn.Module):
    """Stands in for cross-attention: each text token reads the masked mean of the visual tokens.

    Args:
        d_text: width of a text token.
        d_visual: width of a visual token.

    Shapes:
        text         float[b t d_text]
        visual       float[b v d_visual]
        visual_mask  bool[b v]   True = keep; None means all are kept
        returns      float[b t d_text]
    """

    def __init__(self, d_text: int, d_visual: int) -> None:
        super().__init__()
        self.from_text = nn.Linear(d_text, d_text)
        self.from_visual = nn.Linear(d_visual, d_text)

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b v d_visual"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        keep = visual.new_ones(visual.shape[:2]) if visual_mask is None else visual_mask.to(visual.dtype)
        total = torch.einsum("bv,bvd->bd", keep, visual) / keep.sum(dim=1, keepdim=True).clamp(min=1.0)
        read: Tensor = self.from_text(text) + self.from_visual(total)[:, None, :]
        return read


class MaskedRead(nn.Module):
    """Stands in for cross-attention with a mask for each token: it reads the mean of what its row keeps.

    Args:
        d_text: width of a text token.
        d_visual: width of a visual token.

    Shapes:
        text        float[b t d_text]
        visual      float[b s d_visual]
        media_mask  bool[b t s]   True = keep; None means all are kept
        returns     float[b t d_text]   zero for a token that keeps nothing
    """

    def __init__(self, d_text: int, d_visual: int) -> None:
        super().__init__()
        self.from_text = nn.Linear(d_text, d_text)
        self.from_visual = nn.Linear(d_visual, d_text)

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"] | None = None,
    ) -> Float[Tensor, "b t d_text"]:
        if media_mask is None:
            media_mask = torch.ones(*text.shape[:2], visual.shape[1], dtype=torch.bool, device=text.device)
        keep = media_mask.to(visual.dtype)
        mean = torch.einsum("bts,bsd->btd", keep, visual) / keep.sum(dim=2, keepdim=True).clamp(min=1.0)
        read: Tensor = self.from_text(text) + self.from_visual(mean)
        return read * media_mask.any(dim=2, keepdim=True)


class PlainFeedForward(nn.Module):
    """Stands in for a feed-forward: two linear maps around a tanh, each token by itself.

    Args:
        d_text: width of a token, in and out.
        d_hidden: hidden units.

    Shapes:
        text     float[b t d_text]
        returns  float[b t d_text]
    """

    def __init__(self, d_text: int, d_hidden: int) -> None:
        super().__init__()
        self.wide = nn.Linear(d_text, d_hidden)
        self.narrow = nn.Linear(d_hidden, d_text)

    def forward(self, text: Float[Tensor, "b t d_text"]) -> Float[Tensor, "b t d_text"]:
        out: Tensor = self.narrow(self.wide(text).tanh())
        return out


class TinyPipeline(nn.Module):
    """Stands in for "frozen encoder, trained bridge, frozen language model".

    The encoder has a batch norm and the language model a dropout, because both misbehave when a frozen
    part is left in training mode. `shift` belongs to the whole and to none of its parts, as a class token
    or a separator does in a real model: who freezes part by part misses it.

    Args:
        d_pixel: width of an input row.
        d_visual: width between encoder and bridge.
        d_text: width between bridge and language model, and of the output.

    Shapes:
        pixels   float[b d_pixel]
        returns  float[b d_text]
    """

    def __init__(self, d_pixel: int, d_visual: int, d_text: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(d_pixel))
        self.encoder = nn.Sequential(nn.Linear(d_pixel, d_visual), nn.BatchNorm1d(d_visual), nn.GELU())
        self.bridge = nn.Sequential(nn.Linear(d_visual, d_text), nn.GELU(), nn.Dropout(0.5))
        self.language_model = nn.Sequential(
            nn.Linear(d_text, d_text), nn.Dropout(0.5), nn.GELU(), nn.Linear(d_text, d_text)
        )

    def forward(self, pixels: Float[Tensor, "b d_pixel"]) -> Float[Tensor, "b d_text"]:
        out: Tensor = self.language_model(self.bridge(self.encoder(pixels + self.shift)))
        return out


STAND_INS: dict[str, Callable[..., nn.Module]] = {
    "feed_forward": PlainFeedForward,
    "linear_read": LinearRead,
    "masked_read": MaskedRead,
    "tiny_pipeline": TinyPipeline,
}


def build(name: str, **kwargs: int) -> nn.Module:
    """Build the stand-in called `name`."""
    if name not in STAND_INS:
        raise CourseError(f"there is no stand-in called {name!r}; known are {', '.join(sorted(STAND_INS))}.")
    return STAND_INS[name](**kwargs)
