"""Plain parts that a check hands to a learner's code in place of an earlier exercise.

An exercise that needs "some attention" or "some model" must not depend on the learner's own: one mistake
would cost marks twice. These parts are deliberately dull, and know nothing about any right answer.

Axes in this file:
    b  rows of the batch      t  text tokens      v  visual tokens
    s  visual tokens of all pictures of a row
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import CourseError, ShapeError


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


class CachedReader(nn.Module):
    """Stands in for a language model that may look at pictures, and that knows what it has read.

    One state stands for all tokens read so far; each token changes it, together with the mean of the visual
    tokens that its row of the mask keeps. The cache is that state. No cache is changed: each call returns a
    new one. For whoever wants to know what the model was asked, two buffers keep a record.

    Args:
        n_words: words of the vocabulary.
        d_visual: width of a visual token.
        d_state: width of the state.

    Shapes:
        ids         int[1 t]
        visual      float[1 s d_visual]
        media_mask  bool[1 t s]       True = keep; None means all are kept
        cache       float[1 d_state]  what the call before returned; None is the empty one
        returns     float[1 t n_words], the logits at each token, and the new cache

    Buffers:
        read        int[r]      every token it was given, one call after another
        kept        bool[r s]   True where that token could see the visual token

    Raises:
        ShapeError: ids or mask have another shape, or the mask is not boolean.
    """

    read: Tensor
    kept: Tensor

    def __init__(self, n_words: int, d_visual: int, d_state: int = 24) -> None:
        super().__init__()
        self.word = nn.Embedding(n_words, d_state)
        self.look = nn.Linear(d_visual, d_state, bias=False)
        self.turn = nn.Linear(d_state, d_state, bias=False)
        self.says = nn.Linear(d_state, n_words)
        self.register_buffer("read", torch.zeros(0, dtype=torch.long))
        self.register_buffer("kept", torch.zeros(0, 0, dtype=torch.bool))

    def forward(
        self,
        ids: Int[Tensor, "1 t"],
        visual: Float[Tensor, "1 s d_visual"],
        media_mask: Bool[Tensor, "1 t s"] | None = None,
        cache: Float[Tensor, "1 d_state"] | None = None,
    ) -> tuple[Float[Tensor, "1 t n_words"], Float[Tensor, "1 d_state"]]:
        if ids.ndim != 2 or len(ids) != 1 or visual.ndim != 3 or len(visual) != 1:
            raise ShapeError(
                f"ids are {tuple(ids.shape)} and visual is {tuple(visual.shape)}; this model reads one row: "
                "give (1, tokens) and (1, visual tokens, width)."
            )
        wanted = (1, ids.shape[1], visual.shape[1])
        if media_mask is None:
            media_mask = torch.ones(wanted, dtype=torch.bool, device=ids.device)
        if media_mask.shape != wanted or media_mask.dtype != torch.bool:
            raise ShapeError(
                f"media_mask is {tuple(media_mask.shape)} of {media_mask.dtype}; {ids.shape[1]} tokens and "
                f"{visual.shape[1]} visual tokens need {wanted} of torch.bool."
            )
        self._remember(ids[0], media_mask[0])
        keep = media_mask[0].to(visual.dtype)
        seen = self.look(keep @ visual[0] / keep.sum(dim=1, keepdim=True).clamp(min=1.0))  # t d_state
        state = visual.new_zeros(1, self.turn.in_features) if cache is None else cache
        states = []
        for token, sight in zip(ids[0], seen, strict=True):
            state = torch.tanh(self.turn(state) + self.word(token) + sight)
            states.append(state)
        return self.says(torch.stack(states, dim=1)), state

    def _remember(self, ids: Int[Tensor, " t"], kept: Bool[Tensor, "t s"]) -> None:
        self.read = torch.cat([self.read, ids.detach()])
        earlier = self.kept if self.kept.shape[1] == kept.shape[1] else self.kept.new_zeros(0, kept.shape[1])
        self.kept = torch.cat([earlier, kept.detach()])


STAND_INS: dict[str, Callable[..., nn.Module]] = {
    "cached_reader": CachedReader,
    "linear_read": LinearRead,
    "tiny_pipeline": TinyPipeline,
}


def build(name: str, **kwargs: int) -> nn.Module:
    """Build the stand-in called `name`."""
    if name not in STAND_INS:
        raise CourseError(f"there is no stand-in called {name!r}; known are {', '.join(sorted(STAND_INS))}.")
    return STAND_INS[name](**kwargs)
