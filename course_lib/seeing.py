"""Frozen encoder, bridge of yours, frozen language model: put them together, ask, and see where it looks.

What happens around a bridge, in this order:

    patch tokens       b 36 128   of the encoder's penultimate layer, computed once and kept
    LayerNorm          b 36 128   without parameters
    + position         b 36 128   learned with the bridge: the encoder's tokens hardly say where they are
    merge              b  9 512   2 x 2 neighbours side by side (merge=1 leaves 36 tokens of 128)
    YOUR BRIDGE        b  n 128   any nn.Module, `visual: b v d -> b n d_text`
    x output scale     b  n 128   1.7 times the size of a word embedding, so that both are heard
    frozen model                  reads the n tokens, then a question

That is `entrance="prefix"`. With `entrance="layers"` the bridge is a list of blocks, one for each layer of
the language model, and block i changes the stream before layer i: `block(text, visual, visual_mask)`. The
stream then holds one `<image>` tag where the prefix would be, and no visual token at all.

The questions of a picture share its prefix and do not see each other.

Axes in this file:
    b  pictures    v  patch tokens, merged or not    d  their width
    n  visual tokens the language model reads    t  tokens of the stream    w  words of the vocabulary
    q  questions of one picture    k  words of one question block
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from course_lib.errors import CourseError, ShapeError
from course_lib.language import read_blocks
from course_lib.microworld import KINDS, Question, Scene, Vocabulary, draw_questions, render_many
from course_lib.microworld.blocks import Blocks, exact_match, question_blocks
from course_lib.microworld.draws import key
from course_lib.microworld.questions import ALL_KINDS
from course_lib.world import MicroWorld

QUESTIONS = 8  # about one picture
PLACE = 0.5  # size of a place's code at the start; a feature has size 1
# Each entrance with a learning rate that suits it: blocks between layers disturb the language model itself,
# and at the prefix's rate they break what it can do.
ENTRANCES = {"prefix": 3e-3, "layers": 1e-3}
PICTURE_CHOICES = ("own", "shuffled", "blank", "none")


class Eyes(nn.Module):
    """What every bridge reads: features, plus a learned position, merged with their neighbours.

    Args:
        grid: rows and columns of patches.
        d_visual: width of a patch token.
        merge: neighbours put side by side in each direction; 1 merges nothing.
    """

    def __init__(self, grid: tuple[int, int], d_visual: int, merge: int) -> None:
        super().__init__()
        if merge < 1 or grid[0] % merge or grid[1] % merge:
            raise ShapeError(
                f"merge={merge} does not divide the grid of {grid[0]} x {grid[1]} patches; try 1, 2 or 3."
            )
        self.grid, self.merge = grid, merge
        # A code for the row plus a code for the column, the same for every bridge, and trained with it. From
        # zeros, a bridge finds out late where things are, and "where" stays its worst kind.
        draw = torch.Generator().manual_seed(0)
        rows, columns = (torch.randn(side, d_visual, generator=draw) for side in grid)
        self.position = nn.Parameter(PLACE * rearrange(rows[:, None] + columns[None], "y x d -> (y x) d"))

    def forward(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v2 d2"]:
        return rearrange(
            features + self.position,
            "b (y i x j) d -> b (y x) (i j d)",
            y=self.grid[0] // self.merge,
            i=self.merge,
            j=self.merge,
        )


class Trainee(nn.Module, ABC):
    """A module with a frozen language model in it; all else trains."""

    @property
    @abstractmethod
    def frozen(self) -> nn.Module:
        """The language model."""

    def train(self, mode: bool = True) -> "Trainee":
        """Train mode for all but the language model, which stays as it is."""
        super().train(mode)
        self.frozen.eval()
        return self

    def trainable(self) -> list[nn.Parameter]:
        """The parameters to hand to an optimiser."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class SeeingModel(Trainee):
    """Eyes, a bridge and the frozen language model, put together.

    Its direct parts are `eyes`, `bridge` and `language_model`, and `resampler` if there is one; all but the
    language model train.

    Args:
        world: the frozen pieces.
        bridge: your module; see the top of this file for what it reads and returns.
        entrance: "prefix", or "layers" for a list of blocks that run before the language model's layers.
        merge: neighbouring patches put side by side in each direction.
        resampler: called on the merged patches, `b v d -> b q d`, before the bridge reads them.

    Raises:
        CourseError: no such entrance, or not one block for each layer.
    """

    def __init__(
        self,
        world: MicroWorld,
        bridge: nn.Module,
        entrance: str = "prefix",
        merge: int = 2,
        resampler: nn.Module | None = None,
    ) -> None:
        super().__init__()
        layers = world.language_model.sizes.n_layers
        if entrance not in ENTRANCES:
            raise CourseError(f"There is no entrance {entrance!r}; choose one of {', '.join(ENTRANCES)}.")
        if entrance == "layers" and (not isinstance(bridge, nn.ModuleList) or len(bridge) != layers):
            raise CourseError(
                f'entrance="layers" needs an nn.ModuleList of {layers} blocks, one for each layer of the '
                f"language model; it got a {type(bridge).__name__}."
            )
        self.entrance = entrance
        self.eyes = Eyes(world.grid, world.d_visual, merge)
        self.resampler = resampler  # None is no part: a table of parts has no empty row
        self.bridge = bridge
        self.language_model = world.language_model
        self.world = world

    @property
    def frozen(self) -> nn.Module:
        """The language model."""
        return self.language_model

    def visual(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v2 d2"]:
        """What the bridge reads: merged patches, resampled where there is a resampler."""
        tokens: Tensor = self.eyes(features)
        return tokens if self.resampler is None else self.resampler(tokens)

    def tag(self, batch: int) -> Float[Tensor, "b 1 d"]:
        """The embedding of one `<image>` tag: what stands in the stream when no visual token does."""
        word = self.language_model.model.embed_tokens.weight[self.world.vocabulary.image_id]
        return repeat(word, "d -> b 1 d", b=batch)

    def prefix(self, features: Float[Tensor, "b v d"] | None, batch: int) -> Float[Tensor, "b n d"]:
        """What the language model reads before a question; without a picture it is the tag alone."""
        if features is None or self.entrance == "layers":
            return self.tag(batch)
        tokens: Tensor = self.bridge(self.visual(features))
        if tokens.ndim != 3 or tokens.shape[0] != batch or tokens.shape[2] != self.world.d_text:
            raise ShapeError(
                f"The bridge returned {tuple(tokens.shape)} for {batch} pictures; the language model reads "
                f"({batch}, any number of visual tokens, {self.world.d_text})."
            )
        return tokens * self.world.output_scale

    def before_layer(self, features: Float[Tensor, "b v d"] | None) -> Callable[[int, Tensor], Tensor] | None:
        """What to run before each layer of the language model, or None."""
        if features is None or not isinstance(self.bridge, nn.ModuleList) or self.entrance != "layers":
            return None
        blocks, visual = self.bridge, self.visual(features)
        visual_mask = torch.ones(visual.shape[:2], dtype=torch.bool)  # True = keep: every patch is real

        def run(index: int, hidden: Tensor) -> Tensor:
            changed: Tensor = blocks[index](hidden, visual, visual_mask)
            return changed

        return run

    def forward(
        self, features: Float[Tensor, "b v d"] | None, blocks: Blocks, looks: list[Tensor] | None = None
    ) -> Float[Tensor, "b q k_less_1 w"]:
        """Logits of the word that follows each word of each question; without features, blind."""
        prefix = self.prefix(features, len(blocks.ids))
        keep = torch.ones(prefix.shape[:2], dtype=torch.bool)  # True = keep
        change = self.before_layer(features)
        return read_blocks(self.language_model, prefix, keep, blocks.ids, blocks.keep, change, looks)[
            :, :, :-1
        ]


def answer_loss(logits: Float[Tensor, "b q k_less_1 w"], blocks: Blocks) -> Float[Tensor, ""]:
    """Cross-entropy of the answers' words and their `<end>`; the questions' words do not count."""
    is_answer = blocks.is_answer[:, :, 1:]
    return F.cross_entropy(logits[is_answer], blocks.ids[:, :, 1:][is_answer])


@dataclass(frozen=True)
class Scores:
    """Share of questions answered exactly, over all and by kind; `n` questions in all."""

    accuracy: float
    by_kind: dict[str, float]
    n: int


@torch.no_grad()
def visual_tokens(model: SeeingModel) -> int:
    return model.prefix(model.world.new.features[:1], 1).shape[1]


def _questions(
    scenes: Sequence[Scene], split: str, seed: int, kinds: Sequence[str] = KINDS
) -> list[list[Question]]:
    pairs = "unseen" if split == "unseen" else "seen"
    return [
        draw_questions(scene, QUESTIONS, key("test", seed), pairs=pairs, kinds=tuple(kinds))
        for scene in scenes
    ]


@torch.no_grad()
def evaluate(
    model: SeeingModel,
    split: str = "new",
    picture: str = "own",
    n_scenes: int = 400,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
) -> Scores:
    """Ask eight questions about each test scene, and count the answers that are right in every word.

    Args:
        model: a seeing model, trained or not.
        split: "new", "unseen" (questions about things of unseen pairs only), "elsewhere" or "train".
        picture: "own"; "shuffled", another scene's picture; "blank", an empty board; or "none", the question
            alone.
        n_scenes: scenes to ask about, from the album's beginning.
        seed: of the questions.
        kinds: the kinds of question to ask.
    """
    if picture not in PICTURE_CHOICES:
        raise CourseError(
            f"There is no picture choice {picture!r}; choose one of {', '.join(PICTURE_CHOICES)}."
        )
    was_training = model.training
    model.eval()
    album = model.world.album(split)
    scenes = album.scenes[:n_scenes]
    questions = _questions(scenes, split, seed, kinds)
    blocks = question_blocks(questions, model.world.vocabulary)
    features = album.features[: len(scenes)]
    if picture == "shuffled":
        features = features.roll(max(1, len(scenes) // 2), dims=0)
    if picture == "blank":
        features = model.world.features(render_many([Scene((), scene.seed) for scene in scenes]))
    right = torch.cat(
        [
            exact_match(
                model(None if picture == "none" else features[rows], blocks.rows(rows)), blocks.rows(rows)
            )
            for rows in torch.split(torch.arange(len(scenes)), 100)
        ]
    )
    model.train(was_training)
    return _scores(right, questions)


def _scores(right: Bool[Tensor, "b q"], questions: list[list[Question]]) -> Scores:
    by_kind = {}
    for kind in ALL_KINDS:
        of_kind = torch.tensor([[question.kind == kind for question in row] for row in questions])
        if of_kind.any():
            by_kind[kind] = right[of_kind].float().mean().item()
    return Scores(right.float().mean().item(), by_kind, right.numel())


def blind_floor(
    world: MicroWorld | None = None, split: str = "new", n_scenes: int = 400, kinds: Sequence[str] = KINDS
) -> Scores:
    """What the language model gets right without any picture: the number a bridge has to beat."""
    world = MicroWorld.load() if world is None else world
    return evaluate(SeeingModel(world, nn.Identity()), split, "none", n_scenes, kinds=kinds)


def _features(model: SeeingModel, picture: Scene | UInt8[np.ndarray, "y x c"]) -> Float[Tensor, "1 v d"]:
    pixels = render_many([picture]) if isinstance(picture, Scene) else picture[None]
    return model.world.features(pixels)


def _asked(question: str, vocabulary: Vocabulary) -> list[int]:
    ids = vocabulary.encode(question)
    if not ids or ids[-1] != vocabulary.ids["?"]:
        raise CourseError(f'A question ends in " ?", and {question!r} does not.')
    return ids


@torch.no_grad()
def answer(
    model: SeeingModel, picture: Scene | UInt8[np.ndarray, "y x c"], question: str, most_words: int = 4
) -> str:
    """The model's answer to one question about one picture, written word by word, always the likeliest.

    Args:
        model: a trained seeing model.
        picture: a scene, or pixels uint8[48 48 3].
        question: words apart, and a question mark at the end: `what colour is the ring ?`
        most_words: stop after so many words.
    """
    vocabulary = model.world.vocabulary
    ids = _asked(question, vocabulary)
    asked, features = len(ids), _features(model, picture)
    while len(ids) < asked + most_words:
        # One more word than is there, because the model returns a logit for each word but the last.
        row = torch.tensor([[[*ids, vocabulary.pad_id]]])
        blocks = Blocks(row, row != vocabulary.pad_id, torch.zeros_like(row, dtype=torch.bool))
        best = int(model(features, blocks)[0, 0, len(ids) - 1].argmax())
        if best == vocabulary.end_id:
            break
        ids.append(best)
    return vocabulary.decode(ids[asked:])


@torch.no_grad()
def _looks(
    model: SeeingModel, features: Float[Tensor, "b v d"], questions: list[Question]
) -> Float[Tensor, "layers b h y x"]:
    if model.entrance != "prefix":
        raise CourseError(
            'Only entrance="prefix" puts visual tokens where the language model can look at them.'
        )
    n = visual_tokens(model)
    rows = model.world.grid[0]
    if n not in (rows**2, (rows // 2) ** 2):
        raise CourseError(
            f"This bridge hands over {n} visual tokens, which have no place in the picture; a map needs "
            f"one token for each patch ({rows**2}) or for each 2 x 2 patches ({(rows // 2) ** 2})."
        )
    blocks = question_blocks([[question] for question in questions], model.world.vocabulary)
    looks: list[Tensor] = []
    model(features, blocks, looks)
    at = torch.tensor([n + len(question.text.split()) - 1 for question in questions])
    weights = torch.stack([layer[torch.arange(len(at)), :, at, :n] for layer in looks])
    return rearrange(weights, "l b h (y x) -> l b h y x", y=math.isqrt(n))


def looking(
    model: SeeingModel, picture: Scene | UInt8[np.ndarray, "y x c"], question: str
) -> Float[Tensor, "layers h y x"]:
    """Where the language model looks when it has read the question: attention from "?" to each visual token.

    Raises:
        CourseError: the bridge's tokens have no place in the picture.
    """
    _asked(question, model.world.vocabulary)
    return _looks(model, _features(model, picture), [Question("", question, "")])[:, 0]


def pointing_game(model: SeeingModel, n_scenes: int = 200, seed: int = 0) -> Float[Tensor, "layers h"]:
    """Share of questions for which a head looks most at the asked thing's own cell; chance is one in nine.

    Raises:
        CourseError: the bridge's tokens have no place in the picture.
    """
    album = model.world.new
    pairs = [
        (row, question)
        for row, asked in enumerate(_questions(album.scenes[:n_scenes], "new", seed))
        for question in asked[:4]
        if question.thing is not None
    ]
    looks = _looks(model, album.features[[row for row, _ in pairs]], [question for _, question in pairs])
    side = looks.shape[-1]
    best = rearrange(looks, "l b h y x -> l b h (y x)").argmax(-1)
    cell = (best // side) * 3 // side * 3 + (best % side) * 3 // side
    asked_cell = torch.tensor([question.thing.cell for _, question in pairs if question.thing is not None])
    return (cell == asked_cell[None, :, None]).float().mean(dim=1)
