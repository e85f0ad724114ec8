"""Plain parts that a check hands to a learner's code in place of an earlier exercise.

An exercise that needs "some attention" or "some model" must not depend on the learner's own: one mistake
would cost marks twice. These parts are deliberately dull, and know nothing about any right answer.

Axes in this file:
    b  rows of the batch      t  text tokens      v  visual tokens      d  width of a text token
    s  visual tokens of all pictures of a row
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.cost_model import DecoderSizes
from course_lib.errors import CourseError, ShapeError
from course_lib.tiny_captioner import TinyCaptioner, TinyProcessor
from course_lib.tiny_runs import TinyProducts, TinyRanks, TinyReuser, TinyScribbler, TinyShut, TinyWires


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


class TinyLayer(nn.Module):
    """A layer of `TinyDecoder`: each token adds something of all kept tokens up to itself.

    In training mode its dropout is awake, and `drift` follows the data.
    """

    def __init__(self, d_text: int) -> None:
        super().__init__()
        self.mix = nn.Linear(d_text, d_text)
        self.dropout = nn.Dropout(0.5)
        self.drift: Tensor
        self.register_buffer("drift", torch.zeros(d_text))

    def forward(
        self, hidden_states: Float[Tensor, "b t d"], keep: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        if self.training:
            self.drift.lerp_(hidden_states.detach().mean(dim=(0, 1)), 0.1)
        real = keep[:, :, None].to(hidden_states.dtype)
        so_far = (real * hidden_states).cumsum(dim=1) / real.cumsum(dim=1).clamp(min=1.0)
        mixed: Tensor = self.dropout(torch.tanh(self.mix(hidden_states + so_far - self.drift)))
        return hidden_states + mixed


class TinyStack(nn.Module):
    """Embedding, layers and norm of `TinyDecoder`."""

    def __init__(self, n_words: int, d_text: int, n_layers: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(n_words, d_text)
        self.layers = nn.ModuleList(TinyLayer(d_text) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_text)


class TinyDecoder(nn.Module):
    """Stands in for a causal language model: embedding, layers and norm in `model`, a tied output.

    Its layers are nonlinear and look back, so what stands before which of them shows in the output.

    Args:
        n_words: rows of the embedding, and columns of the output.
        d_text: width of a token.
        n_layers: how many layers.
        by_keyword: not 0: the layers are called as layer(hidden_states=..., keep=...), without positions.

    Shapes:
        ids      int[b t]     or float[b t d]: embeddings
        keep     bool[b t]    True = keep; None means all are kept
        returns  float[b t n_words]; with `both`, a pair: that, and the float[b t d] before the output
    """

    def __init__(self, n_words: int, d_text: int, n_layers: int, by_keyword: int = 0) -> None:
        super().__init__()
        self.by_keyword = bool(by_keyword)
        self.model = TinyStack(n_words, d_text, n_layers)

    def forward(
        self, ids: Tensor, keep: Tensor | None = None, both: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        hidden = ids if ids.is_floating_point() else self.model.embed_tokens(ids)
        keep = torch.ones(hidden.shape[:2], dtype=torch.bool) if keep is None else keep
        for layer in self.model.layers:
            hidden = layer(hidden_states=hidden, keep=keep) if self.by_keyword else layer(hidden, keep)
        hidden = self.model.norm(hidden)
        logits = hidden @ self.model.embed_tokens.weight.T
        return (logits, hidden) if both else logits


class TinyMatcher(nn.Module):
    """Stands in for a model that looks at a picture and a text as one, and judges them in two logits.

    The order of the words counts, and what one side adds depends on the other. What stands where `keep` is
    False counts for nothing.

    Args:
        n_words: rows of the embedding.
        d_visual: width of a visual token.
        d_model: width in which the two sides meet.

    Shapes:
        visual   float[b v d_visual]
        ids      int[b t]
        keep     bool[b t]    True = keep
        returns  float[b 2]
    """

    def __init__(self, n_words: int, d_visual: int, d_model: int) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, d_model)
        self.look = nn.Linear(d_visual, d_model)
        self.mix = nn.Linear(d_model, d_model)
        self.judge = nn.Linear(d_model, 2)

    def forward(
        self,
        visual: Float[Tensor, "b v d_visual"],
        ids: Int[Tensor, "b t"],
        keep: Bool[Tensor, "b t"],
    ) -> Float[Tensor, "b 2"]:
        words = self.words(ids)
        mixed = torch.tanh(self.mix(words + _so_far(words, keep)))
        text = _so_far(mixed, keep)[:, -1]
        picture = torch.tanh(self.look(visual)).mean(dim=1)
        out: Tensor = self.judge(text * picture)
        return out


class TinyWriter(nn.Module):
    """Stands in for a model that reads a picture and writes: logits over the words behind each token.

    A token sees the whole picture, itself, and the kept tokens before it, whose order counts.

    Args:
        n_words: rows of the embedding, and columns of the output.
        d_visual: width of a visual token.
        d_model: width in which picture and text meet.

    Shapes:
        visual   float[b v d_visual]
        ids      int[b t]
        keep     bool[b t]    True = keep
        returns  float[b t n_words]
    """

    def __init__(self, n_words: int, d_visual: int, d_model: int) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, d_model)
        self.look = nn.Linear(d_visual, d_model)
        self.mix = nn.Linear(d_model, d_model)
        self.write = nn.Linear(d_model, n_words)

    def forward(
        self,
        visual: Float[Tensor, "b v d_visual"],
        ids: Int[Tensor, "b t"],
        keep: Bool[Tensor, "b t"],
    ) -> Float[Tensor, "b t w"]:
        words = self.words(ids)
        picture = torch.tanh(self.look(visual)).mean(dim=1, keepdim=True)
        mixed = torch.tanh(self.mix(words + _so_far(words, keep)) + picture)
        out: Tensor = self.write(mixed)
        return out


def _so_far(tokens: Float[Tensor, "b t d"], keep: Bool[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
    """A mean of the kept tokens up to each, in which later ones weigh more."""
    weights = (keep * torch.arange(1, keep.shape[1] + 1, device=keep.device)).to(tokens.dtype)[:, :, None]
    return (weights * tokens).cumsum(dim=1) / weights.cumsum(dim=1).clamp(min=1.0)


class AddingBlock(nn.Module):
    """Stands in for a block that adds what it read in the pictures: `strength` is 0 as built.

    Args:
        d_text: width of a text token.
        d_visual: width of a visual token.

    Shapes:
        text        float[b t d_text]
        visual      float[b s d_visual]
        media_mask  bool[b t s]   True = keep
        returns     float[b t d_text]
    """

    def __init__(self, d_text: int, d_visual: int) -> None:
        super().__init__()
        self.from_text = nn.Linear(d_text, d_text)
        self.from_visual = nn.Linear(d_visual, d_text, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.strength = nn.Parameter(torch.zeros(1))
        self.strengths = nn.Parameter(torch.ones(1, 1, d_text))

    def forward(self, text: Tensor, visual: Tensor, media_mask: Tensor) -> Tensor:
        seen = media_mask.to(visual.dtype) @ self.from_visual(visual) / media_mask.shape[2] ** 0.5
        read = self.dropout(torch.tanh(self.from_text(text)) * seen)
        added: Tensor = self.strength * self.strengths * read
        return text + added


class AddingBlocks(nn.ModuleList):
    """Several of `AddingBlock` in a list."""

    def __init__(self, n: int, d_text: int, d_visual: int) -> None:
        super().__init__(AddingBlock(d_text, d_visual) for _ in range(n))


class TinyFlamingo(nn.Module):
    """Stands in for a whole that is trained: a `resampler`, `blocks`, and a `language_model`.

    Deliberately simple: the blocks stand in a row between the embedding and the first layer.

    Args:
        n_words, d_text, n_layers: as in `TinyDecoder`.
        d_visual: width of a visual token.
        n_blocks: how many blocks.

    Shapes:
        ids         int[b t]
        visual      float[b s d_visual]
        media_mask  bool[b t s]   True = keep
        returns     float[b t n_words]
    """

    def __init__(self, n_words: int, d_text: int, n_layers: int, d_visual: int, n_blocks: int) -> None:
        super().__init__()
        self.resampler = nn.Sequential(nn.Linear(d_visual, d_visual), nn.LayerNorm(d_visual))
        self.resampler.register_parameter("latents", nn.Parameter(torch.zeros(2, d_visual)))
        self.blocks = AddingBlocks(n_blocks, d_text, d_visual)
        self.language_model = TinyDecoder(n_words, d_text, n_layers)

    def forward(self, ids: Tensor, visual: Tensor, media_mask: Tensor) -> Tensor:
        visual = self.resampler(visual) + self.resampler.get_parameter("latents").mean(dim=0)
        text = self.language_model.model.embed_tokens(ids)
        for block in self.blocks:
            text = block(text, visual, media_mask)
        logits: Tensor = self.language_model(text)
        return logits


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


class TinyQFormerLayer(nn.Module):
    """A layer of `TinyQFormer`, with the names of a real one's feed-forwards, each a single linear map."""

    def __init__(self, d_model: int, d_visual: int, text: bool) -> None:
        super().__init__()
        self.mix = nn.Linear(d_model, d_model)
        self.from_visual = nn.Linear(d_visual, d_model)
        if text:
            self.intermediate = nn.Linear(d_model, 2 * d_model)
            self.output = nn.Linear(2 * d_model, d_model)
        self.intermediate_query = nn.Linear(d_model, 2 * d_model)
        self.output_query = nn.Linear(2 * d_model, d_model)

    def forward(
        self, tokens: Tensor, n_queries: int, sees: Tensor | None, visual: Tensor, keep: Tensor
    ) -> Tensor:
        weight = tokens.new_ones(tokens.shape[1], tokens.shape[1]) if sees is None else sees.to(tokens.dtype)
        tokens = tokens + torch.tanh(self.mix(weight @ tokens / weight.sum(dim=-1, keepdim=True)))
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        keys = self.from_visual(visual)
        share = (queries @ keys.transpose(1, 2)).masked_fill(~keep[:, None], -1e9).softmax(dim=-1)
        queries = queries + share @ keys
        queries = queries + self.output_query(torch.tanh(self.intermediate_query(queries)))
        if text.shape[1]:
            text = text + self.output(torch.tanh(self.intermediate(text)))
        return torch.cat([queries, text], dim=1)


class TinyQFormer(nn.Module):
    """Stands in for a Q-Former: queries first, then text; its layers are in `encoder.layer`.

    Args:
        d_model: width of queries and text.
        d_visual: width of a visual token.
        n_layers: how many layers.
        text: 0: there are no feed-forwards for text.

    Shapes:
        tokens       float[b s d]
        sees         bool[b s s]   True where token i may see token j; None lets everything see all
        visual       float[b v d_visual]
        visual_mask  bool[b v]     True = keep; None means all are kept
        returns      float[b s d]
    """

    def __init__(self, d_model: int, d_visual: int, n_layers: int, text: int = 1) -> None:
        super().__init__()
        self.text = bool(text)
        self.layernorm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(0.5)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(
            TinyQFormerLayer(d_model, d_visual, self.text) for _ in range(n_layers)
        )

    def forward(
        self,
        tokens: Tensor,
        n_queries: int,
        sees: Tensor | None = None,
        visual: Tensor | None = None,
        visual_mask: Tensor | None = None,
    ) -> Tensor:
        if visual is None:
            raise CourseError(f"{n_queries} queries and no picture to read; give visual.")
        keep = torch.ones(visual.shape[:2], dtype=torch.bool) if visual_mask is None else visual_mask
        tokens = self.dropout(self.layernorm(tokens))
        for layer in self.encoder.get_submodule("layer").children():
            if self.text and not hasattr(layer, "intermediate"):
                raise CourseError(
                    "this Q-Former's text is True, which says that it has a side for text, and a layer of it "
                    "has lost its own; where the side is gone, text is False."
                )
            tokens = layer(tokens, n_queries, sees, visual, keep)
        return tokens


class TinyReaderLayer(nn.Module):
    """A layer of `TinyReader`: each token adds something of what it sees, and of where that stands."""

    def __init__(self, d_text: int) -> None:
        super().__init__()
        self.mix = nn.Linear(d_text, d_text)
        self.rates: Tensor
        self.register_buffer("rates", 1.0 / torch.arange(1, d_text + 1), persistent=False)

    def forward(
        self, hidden: Float[Tensor, "b s d"], sees: Bool[Tensor, "b s s"], positions: Int[Tensor, "b s"]
    ) -> Float[Tensor, "b s d"]:
        placed = hidden + torch.sin(positions[:, :, None] * self.rates)
        share = sees.to(hidden.dtype)
        mean = share @ placed / share.sum(dim=2, keepdim=True).clamp(min=1.0)
        return hidden + torch.tanh(self.mix(placed + mean))


class TinyReader(nn.Module):
    """Stands in for a language model that reads embeddings: called and built like the course's own.

    Its layers are nonlinear, look at what `keep` lets them see, and use the positions as they are given, so
    what stands where, and before which layer, shows in the output.

    Args:
        n_words: rows of the embedding, and columns of the output.
        d_text: width of a token.
        n_layers: how many layers.
        frozen: not 0: no parameter trains.

    Shapes:
        embeds     float[b s d]   s: whatever stands in the stream, words and others
        keep       bool[b s]      True = keep; each token then sees the kept ones up to itself, and itself
                or bool[b s s]    True where token i may see token j
        positions  int[b s]
        returns    float[b s n_words]

    Raises:
        ShapeError: the three do not fit each other.
    """

    def __init__(self, n_words: int, d_text: int, n_layers: int, frozen: int = 0) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(n_words, d_text)
        self.model.layers = nn.ModuleList(TinyReaderLayer(d_text) for _ in range(n_layers))
        if frozen:
            self.requires_grad_(False)

    def forward(
        self,
        embeds: Float[Tensor, "b s d"],
        keep: Tensor,
        positions: Tensor,
        before_layer: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "b s w"]:
        b, s = embeds.shape[:2]
        if tuple(keep.shape) not in ((b, s), (b, s, s)) or tuple(positions.shape) != (b, s):
            raise ShapeError(
                f"embeds are {(b, s)} (rows, tokens), keep is {tuple(keep.shape)} and positions are "
                f"{tuple(positions.shape)}; all three need the same rows and tokens."
            )
        if keep.dtype != torch.bool:
            raise ShapeError(f"keep is of type {keep.dtype}; give booleans, True = keep.")
        sees = keep
        if keep.ndim == 2:
            causal, itself = torch.ones(s, s, dtype=torch.bool).tril(), torch.eye(s, dtype=torch.bool)
            sees = (causal & keep[:, None, :]) | itself
        hidden = embeds
        for i, layer in enumerate(self.model.get_submodule("layers").children()):
            hidden = hidden if before_layer is None else before_layer(i, hidden)
            hidden = layer(hidden, sees, positions)
        logits: Tensor = hidden @ self.model.get_submodule("embed_tokens").get_parameter("weight").T
        return logits


class TinyEntrance(nn.Module):
    """Stands in for whatever makes words of a picture: `n_tokens` of them, however many it is given.

    Args:
        d_visual: width of a visual token.
        d_text: width of a word.
        n_tokens: how many words.

    Shapes:
        visual   float[b v d_visual]
        returns  float[b n_tokens d_text]
    """

    def __init__(self, d_visual: int, d_text: int, n_tokens: int) -> None:
        super().__init__()
        self.asks = nn.Parameter(torch.zeros(n_tokens, d_visual))
        self.project = nn.Linear(d_visual, d_text)

    def forward(self, visual: Float[Tensor, "b v d_visual"]) -> Float[Tensor, "b n_tokens d_text"]:
        share = (self.asks @ visual.transpose(1, 2)).softmax(dim=-1)
        words: Tensor = self.project(torch.tanh(share @ visual))
        return words


class LinearReads(nn.ModuleList):
    """Several of `LinearRead` in a list: blocks, called as block(text, visual, visual_mask)."""

    def __init__(self, n: int, d_text: int, d_visual: int) -> None:
        super().__init__(LinearRead(d_text, d_visual) for _ in range(n))


# Sizes are no module, but they too come from outside the exercise, and travel by the same name.
STAND_INS: dict[str, Callable[..., Any]] = {
    "adding_blocks": AddingBlocks,
    "cached_reader": CachedReader,
    "decoder_sizes": DecoderSizes,
    "feed_forward": PlainFeedForward,
    "linear_read": LinearRead,
    "linear_reads": LinearReads,
    "masked_read": MaskedRead,
    "tiny_captioner": TinyCaptioner,
    "tiny_decoder": TinyDecoder,
    "tiny_entrance": TinyEntrance,
    "tiny_flamingo": TinyFlamingo,
    "tiny_matcher": TinyMatcher,
    "tiny_pipeline": TinyPipeline,
    "tiny_processor": TinyProcessor,
    "tiny_products": TinyProducts,
    "tiny_qformer": TinyQFormer,
    "tiny_ranks": TinyRanks,
    "tiny_reader": TinyReader,
    "tiny_reuser": TinyReuser,
    "tiny_scribbler": TinyScribbler,
    "tiny_shut": TinyShut,
    "tiny_wires": TinyWires,
    "tiny_writer": TinyWriter,
}


def build(name: str, **kwargs: int) -> Any:
    """Build the stand-in called `name`."""
    if name not in STAND_INS:
        raise CourseError(f"there is no stand-in called {name!r}; known are {', '.join(sorted(STAND_INS))}.")
    return STAND_INS[name](**kwargs)
