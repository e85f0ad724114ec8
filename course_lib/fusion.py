"""Every way for a picture and a question to meet, behind one interface, each a few lines over known parts.

    parts = Parts(raw_patches, EarlyFusion, LateFusion, StreamFusion, thumbnail, prefix_lm_mask)
    model = PATTERNS["hybrid"].build(world, parts)
    model.loss(seen, blocks), model.right(seen, blocks)

A pattern has two names: *where* the two meet (at the input, between layers, at the output) and *what* of
the picture arrives there (raw patches, or an encoder's features). The parts in `Parts` are yours; what stands
here is the housing around them: frozen models, positions, the layout of eight questions behind one picture.

Axes in this file:
    b  pictures    n  questions of one picture    k  words of one question block    w  words of the vocabulary
    v  visual tokens    d  their width    p  visual tokens in the stream    t  words    a  possible answers
    s  the stream: p, then t    c y x  channel, row and column of a pixel
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.cross_attention import CrossAttention
from course_lib.errors import CourseError
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.language import LanguageModel, pack, read_blocks, sees_up_to_itself
from course_lib.microworld import COLOURS, SHAPES, SIZES
from course_lib.microworld.blocks import Blocks, exact_match
from course_lib.microworld.scenes import COLUMNS, DIGITS, ROWS
from course_lib.microworld.vocabulary import NUMBERS
from course_lib.projectors import LinearProjector
from course_lib.qformer import SimplifiedQFormer
from course_lib.resampler import PerceiverResampler
from course_lib.seeing import Eyes, Trainee, answer_loss
from course_lib.vision import to_pixels
from course_lib.world import Album, MicroWorld

WHERE = ("input", "layers", "input and layers", "output")
WHAT = ("raw patches", "features")
PATCH = 8  # side of a raw patch in pixels, as the frozen encoder has it


@dataclass(frozen=True)
class Parts:
    """What you wrote: patches and two modules for the ends, the stream in the middle, a thumbnail, a mask."""

    raw_patches: Callable[[Tensor, int], Tensor]
    early: Callable[..., nn.Module]
    late: Callable[..., nn.Module]
    stream: Callable[..., nn.Module]
    thumbnail: Callable[[Tensor, tuple[int, int], int], Tensor]
    prefix_lm_mask: Callable[[Tensor, Tensor], Tensor]


class Fusion(Trainee):
    """A picture and its questions, brought together in one of the ways there are.

    Shapes:
        seen    float[b v d] features or float[b c y x] pixels, as `reads` says; None: no picture
        blocks  eight questions with their answers for each picture
    """

    reads = "features"

    @abstractmethod
    def loss(self, seen: Tensor | None, blocks: Blocks) -> Float[Tensor, ""]:
        """What training makes smaller."""

    @abstractmethod
    def right(self, seen: Tensor | None, blocks: Blocks) -> Bool[Tensor, "b n"]:
        """True where the answer is right in every word."""

    @property
    @abstractmethod
    def tokens(self) -> int:
        """What one picture costs in the language model's stream."""

    def of(self, album: Album, picked: Sequence[int] | slice = slice(None)) -> Tensor:
        """What this model reads of some of an album's pictures."""
        rows = picked if isinstance(picked, slice) else list(picked)
        if self.reads == "features":
            return album.features[rows]
        return to_pixels(torch.from_numpy(album.pictures[rows]))

    def parameters_trained(self) -> int:
        """How many numbers training may change."""
        return sum(parameter.numel() for parameter in self.trainable())


class _Nothing(nn.Module):
    """In the place of a frozen part where none is frozen."""


class Streamed(Fusion):
    """Whatever meets in the language model's stream or between its layers.

    Args:
        world: the frozen pieces.
        stream: your StreamFusion, its language model inside.
        eyes: called on the features before the stream reads them; None hands them on as they are.
        reads: "features" or "pixels".
        prefix_mask: your prefix-LM mask; None leaves the stream causal.
    """

    def __init__(
        self,
        world: MicroWorld,
        stream: nn.Module,
        eyes: nn.Module | None = None,
        reads: str = "features",
        prefix_mask: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.stream, self.eyes = stream, eyes
        self.reads, self.prefix_mask, self.image_id = reads, prefix_mask, world.vocabulary.image_id
        with torch.no_grad():
            front = stream.get_submodule("enter")(self.visual(self.of(world.new, [0])))
        self._tokens: int = front.shape[1]

    @property
    def language_model(self) -> LanguageModel:
        """The one inside the stream."""
        found = self.stream.get_submodule("language_model")
        assert isinstance(found, LanguageModel)
        return found

    @property
    def frozen(self) -> nn.Module:
        """The language model, unless it trains."""
        trains = any(parameter.requires_grad for parameter in self.language_model.parameters())
        return _Nothing() if trains else self.language_model

    @property
    def tokens(self) -> int:
        return self._tokens

    def visual(self, seen: Tensor) -> Tensor:
        """What the stream reads of a picture."""
        looked: Tensor = seen if self.eyes is None else self.eyes(seen)
        return looked

    def logits(self, seen: Tensor | None, blocks: Blocks) -> Float[Tensor, "b n k w"]:
        """Of the word that follows each word."""
        b, n, _ = blocks.ids.shape
        if seen is None:
            word = self.language_model.model.embed_tokens.weight[self.image_id]
            tag, keep = repeat(word, "d -> b 1 d", b=b), torch.ones(b, 1, dtype=torch.bool)
            return read_blocks(self.language_model, tag, keep, blocks.ids, blocks.keep)
        visual = self.visual(seen)
        if self.prefix_mask is None:
            # True = keep: every visual token is real. Questions share a picture, and not each other; padding
            # between them is left out of the row, three words in ten where relations are asked, too.
            sees, positions = pack(torch.ones(b, self.tokens, dtype=torch.bool), blocks.keep)
            ids, keep = rearrange(blocks.ids, "b n k -> b (n k)"), rearrange(blocks.keep, "b n k -> b (n k)")
            words = keep.int().argsort(dim=1, descending=True, stable=True)[:, : int(keep.sum(1).max())]
            row, front = torch.arange(b)[:, None], repeat(torch.arange(self.tokens), "p -> b p", b=b)
            kept, order = keep[row, words], torch.cat([front, self.tokens + words], dim=1)
            found = self.stream(
                visual,
                ids[row, words],
                kept,
                sees=sees[row[:, :, None], order[:, :, None], order[:, None, :]],
                positions=positions[row, order],
            )
            whole = found.new_zeros(*keep.shape, found.shape[-1])
            whole[row, words] = found * kept[..., None]
            logits: Tensor = rearrange(whole, "b (n k) w -> b n k w", n=n)
            return logits
        # Here the picture is read anew for each question, since it sees what is asked.
        keep, answer = (rearrange(one, "b n k -> (b n) k") for one in (blocks.keep, blocks.is_answer))
        front = keep.new_ones(len(keep), self.tokens)
        sees = self.prefix_mask(torch.cat([front, keep], dim=1), torch.cat([front, keep & ~answer], dim=1))
        ids = rearrange(blocks.ids, "b n k -> (b n) k")
        found = self.stream(visual.repeat_interleave(n, dim=0), ids, keep, sees=sees)
        apart: Tensor = rearrange(found, "(b n) k w -> b n k w", n=n)
        return apart

    def loss(self, seen: Tensor | None, blocks: Blocks) -> Float[Tensor, ""]:
        return answer_loss(self.logits(seen, blocks)[:, :, :-1], blocks)

    def right(self, seen: Tensor | None, blocks: Blocks) -> Bool[Tensor, "b n"]:
        return exact_match(self.logits(seen, blocks)[:, :, :-1], blocks)


class QuestionFirst(Streamed):
    """Causal, and the question stands before the picture, so that the picture's tokens can read it.

    Args:
        again: the whole question stands behind the picture as well. If not, its question mark alone does,
            and the answer follows it.
    """

    def __init__(
        self,
        world: MicroWorld,
        stream: Callable[..., nn.Module],
        enter: nn.Module,
        eyes: nn.Module,
        again: bool,
    ) -> None:
        super().__init__(world, stream(world.language_model, enter), eyes)
        # Both stand before the words that follow: both go in by the front, the picture made tokens already.
        self.stream, self.enter, self.again = stream(world.language_model, nn.Identity()), enter, again

    def logits(self, seen: Tensor | None, blocks: Blocks) -> Float[Tensor, "b n k w"]:
        if seen is None:
            return super().logits(seen, blocks)
        n = blocks.ids.shape[1]
        ids, keep, answer = (
            rearrange(one, "b n k -> (b n) k") for one in (blocks.ids, blocks.keep, blocks.is_answer)
        )
        asked = keep & ~answer  # True = keep, here and below
        if not self.again:
            mark = ids == ids[asked][-1]  # every question ends in the same word
            asked, keep = asked & ~mark, answer | mark
        picture = keep.new_ones(len(keep), self.tokens)
        real = torch.cat([asked, picture, keep], dim=1)
        tokens = self.enter(self.visual(seen)).repeat_interleave(n, dim=0)
        found = self.stream(
            torch.cat([self.language_model.model.embed_tokens(ids), tokens], dim=1),
            ids,
            keep,
            sees=sees_up_to_itself(real),
            positions=(real.long().cumsum(dim=1) - 1).clamp(min=0),
        )
        logits: Tensor = rearrange(found, "(b n) k w -> b n k w", n=n)
        return logits


class Late(Fusion):
    """One vector of the picture, one of the question, and a head that chooses among whole answers.

    The question's tokens come from the frozen language model: what stands before its last layer. A picture
    that is not there is one that keeps no token.
    """

    def __init__(self, world: MicroWorld, late: Callable[..., nn.Module], d_shared: int) -> None:
        super().__init__()
        self.answers = possible_answers(world)
        self.eyes = Eyes(world.grid, world.d_visual, 1)
        self.head = late(world.d_visual, world.d_text, d_shared, len(self.answers))
        self.language_model = world.language_model
        self.vocabulary = world.vocabulary

    @property
    def frozen(self) -> nn.Module:
        return self.language_model

    @property
    def tokens(self) -> int:
        return 0

    @torch.no_grad()
    def read(self, ids: Int[Tensor, "m k"], keep: Bool[Tensor, "m k"]) -> Float[Tensor, "m k d"]:
        """Tokens of the questions, as the language model has them before its last layer."""
        last, found = self.language_model.sizes.n_layers - 1, []

        def watch(i: int, hidden: Tensor) -> Tensor:
            if i == last:
                found.append(hidden)
            return hidden

        positions = (keep.long().cumsum(dim=1) - 1).clamp(min=0)
        self.language_model(self.language_model.model.embed_tokens(ids), keep, positions, watch)
        return found[0]

    def logits(self, seen: Tensor | None, blocks: Blocks) -> Float[Tensor, "b n a"]:
        """Of the whole answers."""
        b, n, _ = blocks.ids.shape
        ids, asked = (
            rearrange(one, "b n k -> (b n) k") for one in (blocks.ids, blocks.keep & ~blocks.is_answer)
        )
        visual = self.eyes(torch.zeros(b, self.eyes.position.shape[0], self.eyes.position.shape[1]))
        mask = torch.zeros(b, visual.shape[1], dtype=torch.bool)  # True = keep: nothing, without a picture
        if seen is not None:
            visual, mask = self.eyes(seen), ~mask
        logits: Tensor = self.head(
            visual.repeat_interleave(n, dim=0), self.read(ids, asked), mask.repeat_interleave(n, dim=0), asked
        )
        found: Tensor = rearrange(logits, "(b n) a -> b n a", n=n)
        return found

    def classes(self, blocks: Blocks) -> Int[Tensor, "b n"]:
        """The number of the right answer to each question."""
        numbers = {answer: number for number, answer in enumerate(self.answers)}
        end = self.vocabulary.end_id
        found = [
            [
                numbers[self.vocabulary.decode(i for i in ids[is_answer].tolist() if i != end)]
                for ids, is_answer in zip(row, answers, strict=True)
            ]
            for row, answers in zip(blocks.ids, blocks.is_answer, strict=True)
        ]
        return torch.tensor(found)

    def loss(self, seen: Tensor | None, blocks: Blocks) -> Float[Tensor, ""]:
        return F.cross_entropy(self.logits(seen, blocks).flatten(0, 1), self.classes(blocks).flatten())

    def right(self, seen: Tensor | None, blocks: Blocks) -> Bool[Tensor, "b n"]:
        return self.logits(seen, blocks).argmax(-1) == self.classes(blocks)


def possible_answers(world: MicroWorld) -> tuple[str, ...]:
    """Every answer that some question of this world can have, relations in two steps included."""
    places = [f"{row} {column}" for row in ROWS for column in COLUMNS]
    steps = [
        f"{one} {other} {verdict}"
        for names in (COLUMNS, ROWS)
        for one in names
        for other in names
        for verdict in ("yes", "no")
        if one != other
    ]
    words = (*COLOURS, *SHAPES, *SIZES, *places, *NUMBERS, *DIGITS, "yes", "no", *steps)
    return tuple(dict.fromkeys(words))


# -- the small things that patterns are built of -------------------------------------------------------------


class Scaled(nn.Module):
    """What a frozen language model reads has to be about as large as its words."""

    def __init__(self, inner: nn.Module, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale

    def forward(self, visual: Tensor) -> Float[Tensor, "b p d"]:
        tokens: Tensor = self.inner(visual)
        return tokens * self.scale


class Tag(nn.Module):
    """One `<image>` tag in the stream, whatever the picture: where a picture does not enter it."""

    def __init__(self, word: Float[Tensor, " d"]) -> None:
        super().__init__()
        self.word: Tensor
        self.register_buffer("word", word.detach().clone())

    def forward(self, visual: Tensor) -> Float[Tensor, "b 1 d"]:
        return repeat(self.word, "d -> b 1 d", b=len(visual))


class Raw(nn.Module):
    """Pictures, cut into patches and mapped to words."""

    def __init__(self, parts: Parts, d_text: int) -> None:
        super().__init__()
        self.raw_patches, self.inner = parts.raw_patches, parts.early(3 * PATCH * PATCH, d_text)

    def forward(self, pictures: Float[Tensor, "b c y x"]) -> Float[Tensor, "b p d"]:
        found: Tensor = self.inner(self.raw_patches(pictures, PATCH), pictures.shape[3] // PATCH)
        return found


class Wide(nn.Module):
    """Two linear maps with a GELU between them, as wide in the middle as a budget allows."""

    def __init__(self, d_visual: int, d_hidden: int, d_text: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(d_visual, d_hidden), nn.Linear(d_hidden, d_text)

    def forward(self, visual: Float[Tensor, "b v d_visual"]) -> Float[Tensor, "b v d_text"]:
        found: Tensor = self.linear_2(F.gelu(self.linear_1(visual)))
        return found


class Seen(nn.Module):
    """A thumbnail of the tokens, then a map to the width of a word."""

    def __init__(
        self,
        thumbnail: Callable[[Tensor, tuple[int, int], int], Tensor],
        grid: tuple[int, int],
        side: int,
        inner: nn.Module,
    ) -> None:
        super().__init__()
        self.thumbnail, self.grid, self.side, self.inner = thumbnail, grid, side, inner

    def forward(self, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b n d_text"]:
        found: Tensor = self.inner(self.thumbnail(visual, self.grid, self.side))
        return found


def gated(world: MicroWorld, d_visual: int, n_blocks: int, n_heads: int, d_head: int) -> nn.ModuleList:
    """Blocks of week 2: a gate on cross-attention."""
    return nn.ModuleList(
        GatedCrossAttention(CrossAttention(world.d_text, d_visual, n_heads, d_head), world.d_text)
        for _ in range(n_blocks)
    )


# -- the patterns --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pattern:
    """One way to meet.

    `make(world, parts, size)` builds it. `size` is the one number by which it grows, a multiple of `step`, as
    it is if nobody asks; 0 where it cannot grow. `learning_rate` is the peak of AdamW's rate that suits it.
    """

    where: str
    what: str
    make: Callable[[MicroWorld, Parts, int], Fusion]
    size: int
    learning_rate: float
    trains: str
    step: int = 1

    def build(self, world: MicroWorld, parts: Parts, size: int | None = None) -> Fusion:
        """A new one, drawn from torch's generator: seed it first."""
        return self.make(world, parts, self.size if size is None else size)


def _early(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    """Raw patches, and a language model of this width that has read nothing yet."""
    sizes = replace(world.language_model.sizes, d_model=size, d_hidden=8 * round(size * 344 / 128 / 8))
    stream = parts.stream(LanguageModel(sizes), Raw(parts, size))
    return Streamed(world, stream, reads="pixels")


def _early_frozen(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    """Raw patches into the frozen language model: one map, and whoever reads has never seen."""
    enter = Scaled(Raw(parts, world.d_text), world.output_scale)
    return Streamed(world, parts.stream(world.language_model, enter), reads="pixels")


def _late(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    return Late(world, parts.late, size)


def _concatenated(
    world: MicroWorld, parts: Parts, inner: nn.Module, merge: int, prefix: bool = False
) -> Fusion:
    eyes = Eyes(world.grid, world.d_visual, merge)
    stream = parts.stream(world.language_model, Scaled(inner, world.output_scale))
    return Streamed(world, stream, eyes, prefix_mask=parts.prefix_lm_mask if prefix else None)


def _linear(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    return _concatenated(world, parts, LinearProjector(world.d_visual, world.d_text), merge=1)


def _mlp(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    return _concatenated(world, parts, Wide(world.d_visual, size, world.d_text), merge=1)


def _merged(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    return _concatenated(world, parts, Wide(4 * world.d_visual, size, world.d_text), merge=2)


def _prefix_lm(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    return _concatenated(world, parts, Wide(4 * world.d_visual, size, world.d_text), merge=2, prefix=True)


def question_first(world: MicroWorld, parts: Parts, again: bool, size: int = 240) -> Fusion:
    """ "merge" with the question before the picture. No pattern: the language model never read this order."""
    enter = Scaled(Wide(4 * world.d_visual, size, world.d_text), world.output_scale)
    return QuestionFirst(world, parts.stream, enter, Eyes(world.grid, world.d_visual, 2), again)


def _resampler(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    inner = nn.Sequential(
        nn.Linear(world.d_visual, size),  # its feed-forward grows with the square of its width
        PerceiverResampler(size, n_latents=9, n_layers=1, n_heads=4, d_head=size // 4),
        LinearProjector(size, world.d_text),
    )
    return _concatenated(world, parts, inner, merge=1)


def _qformer(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    inner = SimplifiedQFormer(world.d_visual, world.d_text, n_queries=9, n_layers=2, n_heads=4, d_model=size)
    return _concatenated(world, parts, inner, merge=1)


def _cross(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    tag = Tag(world.language_model.model.embed_tokens.weight[world.vocabulary.image_id])
    n_layers = world.language_model.sizes.n_layers
    blocks = gated(world, world.d_visual, n_layers, 4, size // 4)
    return Streamed(
        world, parts.stream(world.language_model, tag, blocks), Eyes(world.grid, world.d_visual, 1)
    )


def _hybrid(world: MicroWorld, parts: Parts, size: int) -> Fusion:
    inner = Seen(parts.thumbnail, world.grid, 2, Wide(world.d_visual, size, world.d_text))
    n_blocks = len(range(0, world.language_model.sizes.n_layers, 2))
    blocks = gated(world, world.d_visual, n_blocks, 4, size // 4)
    stream = parts.stream(world.language_model, Scaled(inner, world.output_scale), blocks, 2)
    return Streamed(world, stream, Eyes(world.grid, world.d_visual, 1))


PATTERNS: dict[str, Pattern] = {
    "early": Pattern("input", "raw patches", _early, 128, 1e-3, "everything", 8),
    "early, frozen": Pattern("input", "raw patches", _early_frozen, 0, 1.5e-3, "the map of a patch"),
    "linear": Pattern("input", "features", _linear, 0, 6e-3, "the projector"),
    "mlp": Pattern("input", "features", _mlp, 512, 3e-3, "the projector"),
    "merge": Pattern("input", "features", _merged, 240, 6e-3, "the projector"),
    "resampler": Pattern("input", "features", _resampler, 96, 7.5e-4, "the resampler", 4),
    "q-former": Pattern("input", "features", _qformer, 68, 5e-4, "the Q-Former", 4),
    "prefix-lm": Pattern("input", "features", _prefix_lm, 240, 6e-3, "the projector"),
    "cross-attention": Pattern("layers", "features", _cross, 72, 1e-3, "blocks and gates", 4),
    "hybrid": Pattern("input and layers", "features", _hybrid, 96, 1e-3, "projector, blocks and gates", 4),
    "late": Pattern("output", "features", _late, 160, 7.5e-4, "both maps and the head"),
}


def pattern(name: str) -> Pattern:
    """One of `PATTERNS`.

    Raises:
        CourseError: there is none of this name; the message lists those there are.
    """
    if name not in PATTERNS:
        raise CourseError(f"There is no pattern {name!r}; choose one of {', '.join(PATTERNS)}.")
    return PATTERNS[name]
