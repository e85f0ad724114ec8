"""Frozen encoder, bridge of yours, frozen language model: train the bridge alone, and the model can see.

    world = MicroWorld.load()
    result = train_bridge(MLPProjector(4 * world.d_visual, world.d_text), steps=600, seed=0)
    result.accuracy, result.by_kind, result.seconds

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

A step shows 16 pictures with 8 questions each. The questions of a picture share its prefix and do not see
each other. Matrices of linear maps are trained by Muon, everything else by AdamW: AdamW alone leaves the
blind floor after 200 steps, with Muon it takes 50. Everything runs for a fixed number of steps, never for a
time, so that the same seed gives the same result.

Axes in this file:
    b  pictures    v  patch tokens, merged or not    d  their width
    n  visual tokens the language model reads    t  tokens of the stream    w  words of the vocabulary
    q  questions of one picture    k  words of one question block
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.backbones import load_encoder, load_language_model
from course_lib.errors import CourseError, ShapeError
from course_lib.language import LanguageModel, pack
from course_lib.microworld import KINDS, Question, Scene, Vocabulary, draw_questions, draw_scenes, render_many
from course_lib.microworld.blocks import Blocks, exact_match, question_blocks
from course_lib.microworld.draws import key
from course_lib.microworld.questions import ALL_KINDS
from course_lib.vision import TowerSizes, VisionTower, to_pixels

PICTURES, QUESTIONS = 16, 8  # of one training step
PLACE = 0.5  # size of a place's code at the start; a feature has size 1
OUTPUT_SCALE = 1.7  # times the root mean square of the language model's embedding
# Each entrance with a learning rate that suits it: blocks between layers disturb the language model itself,
# and at the prefix's rate they break what it can do.
ENTRANCES = {"prefix": 3e-3, "layers": 1e-3}
PICTURE_CHOICES = ("own", "shuffled", "blank", "none")
UNTRAINED = "untrained"  # an encoder as it was drawn: a control
MUON_FACTOR = 10.0  # Muon's rate is so many times the learning rate given; both follow one schedule


@dataclass(frozen=True)
class Album:
    """Scenes of one split with their pictures and what the encoder makes of them.

    Shapes:
        pictures  uint8[b 48 48 3]
        features  float[b 36 128]   layer-normed patch tokens of the penultimate layer
    """

    split: str
    scenes: list[Scene]
    pictures: UInt8[np.ndarray, "b y x c"]
    features: Float[Tensor, "b v d"]


@dataclass(frozen=True, eq=False)
class MicroWorld:
    """The frozen pieces and the pictures to train and test a bridge on. Get it with `MicroWorld.load()`."""

    encoder: VisionTower
    language_model: LanguageModel
    vocabulary: Vocabulary
    train: Album
    new: Album
    unseen: Album
    elsewhere: Album
    layer: int = -2

    @classmethod
    def load(
        cls,
        n_scenes: int = 4000,
        n_test: int = 400,
        seed: int = 0,
        *,
        encoder: str = "best",
        language_model: str = "best",
        digits: bool = False,
        layer: int = -2,
    ) -> "MicroWorld":
        """Load the backbones, draw the scenes and let the encoder look at them once.

        The second call with the same numbers is free.

        Args:
            n_scenes: training scenes. 4000 take about five seconds.
            n_test: scenes of each test split.
            seed: of the training scenes. Test scenes are always the same.
            encoder, language_model: which ones; see `course_lib.backbones`. The encoder may also be
                "untrained", drawn at random and never taught: a control, never a fallback.
            digits: scenes with handwritten digits.
            layer: whose patch tokens a bridge reads; -2 is the penultimate, -1 the last.

        Raises:
            DataError: a backbone is missing or is not the one the manifest names.
            CourseError: there is no such backbone.
        """
        return _load(n_scenes, n_test, seed, encoder, language_model, digits, layer)

    @property
    def d_visual(self) -> int:
        """Width of one patch token, before merging."""
        return self.encoder.sizes.d_model

    @property
    def d_text(self) -> int:
        """Width of one word embedding of the language model."""
        return self.language_model.sizes.d_model

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return (self.encoder.embeddings.side, self.encoder.embeddings.side)

    @property
    def output_scale(self) -> float:
        """What a bridge's output is multiplied by before the language model reads it."""
        return OUTPUT_SCALE * self.language_model.model.embed_tokens.weight.pow(2).mean().sqrt().item()

    def features(self, pictures: UInt8[np.ndarray, "b y x c"]) -> Float[Tensor, "b v d"]:
        """Layer-normed patch tokens of the world's layer."""
        return _look(self.encoder, pictures, self.layer)

    def album(self, split: str) -> Album:
        """The album of "train", "new", "unseen" or "elsewhere"."""
        albums = {album.split: album for album in (self.train, self.new, self.unseen, self.elsewhere)}
        if split not in albums:
            raise CourseError(f"There is no album {split!r}; choose one of {', '.join(albums)}.")
        return albums[split]


@torch.no_grad()
def _look(encoder: VisionTower, pictures: UInt8[np.ndarray, "b y x c"], layer: int) -> Float[Tensor, "b v d"]:
    looks = [
        encoder.patch_tokens(to_pixels(torch.from_numpy(part)), layer)
        for part in np.array_split(pictures, max(1, len(pictures) // 250))
    ]
    tokens = torch.cat(looks)
    return F.layer_norm(tokens, tokens.shape[-1:])


@cache
def _load(
    n_scenes: int, n_test: int, seed: int, which: str, language_model: str, digits: bool, layer: int
) -> MicroWorld:
    encoder = _untrained() if which == UNTRAINED else load_encoder(which=which)

    def album(split: str, count: int, seed: int) -> Album:
        scenes = draw_scenes(count, split, seed, digits)
        pictures = render_many(scenes)
        return Album(split, scenes, pictures, _look(encoder, pictures, layer))

    return MicroWorld(
        encoder=encoder,
        language_model=load_language_model(which=language_model),
        vocabulary=Vocabulary(),
        train=album("train", n_scenes, key("bridge", seed)),
        new=album("new", n_test, 0),
        unseen=album("unseen", n_test, 0),
        elsewhere=album("elsewhere", n_test, 0),
        layer=layer,
    )


def _untrained() -> VisionTower:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = VisionTower(TowerSizes())
    tower.requires_grad_(False).eval()
    return tower


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


class SeeingModel(nn.Module):
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

    def train(self, mode: bool = True) -> "SeeingModel":
        """Train mode for eyes and bridge; the language model stays as it is."""
        super().train(mode)
        self.language_model.eval()
        return self

    def trainable(self) -> list[nn.Parameter]:
        """The parameters to hand to an optimiser."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

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
        batch, questions = blocks.ids.shape[:2]
        prefix = self.prefix(features, batch)
        keep = torch.ones(prefix.shape[:2], dtype=torch.bool)
        sees, positions = pack(keep, blocks.keep)
        words = self.language_model.model.embed_tokens(rearrange(blocks.ids, "b q k -> b (q k)"))
        stream = torch.cat([prefix, words], dim=1)
        logits = self.language_model(stream, sees, positions, self.before_layer(features), looks)
        rows: Tensor = rearrange(logits[:, prefix.shape[1] :], "b (q k) w -> b q k w", q=questions)
        return rows[:, :, :-1]


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


@dataclass
class Result:
    """What training one bridge gave. Accuracies are exact match on the questions of 400 test scenes.

    `accuracy` and `by_kind` are on new scenes; `unseen` on things of an unseen colour-and-shape pair;
    `elsewhere` on scenes with a thing in a cell where its shape was never trained; `blind` without a picture,
    `shuffled` with another scene's and `blank` with an empty one. `seconds` is training alone.
    `visual_tokens` is what one picture costs in the language model's stream. `curve` is (step, accuracy on
    60 scenes), `gates` is (step, |tanh alpha| of each block) for blocks that have an `alpha`.
    """

    name: str
    steps: int
    seed: int
    seconds: float
    parameters: int
    visual_tokens: int
    accuracy: float
    by_kind: dict[str, float]
    unseen: float
    elsewhere: float
    blind: float
    shuffled: float
    blank: float
    losses: list[float] = field(repr=False)
    curve: list[tuple[int, float]] = field(repr=False)
    gates: list[tuple[int, list[float]]] = field(repr=False)
    model: SeeingModel = field(repr=False)

    def row(self) -> dict[str, Any]:
        """The result as one row of a table, ready for JSON."""
        left_out = {"losses", "curve", "gates", "model"}
        return {name: value for name, value in vars(self).items() if name not in left_out}


def train_bridge(
    bridge: nn.Module,
    *,
    steps: int = 600,
    seed: int = 0,
    entrance: str = "prefix",
    merge: int = 2,
    resampler: nn.Module | None = None,
    learning_rate: float | None = None,
    kinds: Sequence[str] = KINDS,
    world: MicroWorld | None = None,
    name: str | None = None,
    progress: bool = True,
) -> Result:
    """Train a bridge between the frozen encoder and the frozen language model, then test it.

    Args:
        bridge: your module. Seed torch before you build it; `seed` here is for the scenes and questions.
        steps: optimiser steps of 16 pictures with 8 questions each. 600 take about a minute on one core.
        entrance, merge, resampler: see `SeeingModel`.
        learning_rate: peak of AdamW's rate, after 20 steps; the entrance's own if not given; a cosine takes
            it down to a thirtieth. Muon's rate is ten times as high.
        kinds: the kinds of question to train and test on; a kind named twice is asked twice as often.
        world: the frozen pieces; `MicroWorld.load()` if not given.
        name: what to call it in tables; the bridge's class if not given.
        progress: show a bar.

    Raises:
        ShapeError: the bridge returned something the language model cannot read.
        CourseError: see `SeeingModel`.
    """
    world = MicroWorld.load() if world is None else world
    model = SeeingModel(world, bridge, entrance, merge, resampler)
    album = world.train
    optimisers = optimisers_for(model, learning_rate or ENTRANCES[entrance])
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, partial(learning_rate_at, steps=steps)) for one in optimisers
    ]
    order = torch.Generator().manual_seed(seed)
    n_probe = min(60, len(world.new.scenes))
    losses: list[float] = []
    curve = [(0, evaluate(model, n_scenes=n_probe, kinds=kinds).accuracy)]
    gates = [(0, _gates(bridge))] if _gates(bridge) else []
    seconds = 0.0
    model.train()
    with (
        torch.random.fork_rng(devices=[]),
        tqdm(total=steps, disable=not progress, desc=name or _name(bridge)) as bar,
    ):
        torch.manual_seed(seed)  # for a bridge that draws at random itself, dropout for instance
        for step in range(1, steps + 1):
            began = time.perf_counter()
            picked = torch.randint(len(album.scenes), (PICTURES,), generator=order)
            questions = [
                draw_questions(
                    album.scenes[index], QUESTIONS, key(seed, step), pairs="seen", kinds=tuple(kinds)
                )
                for index in picked.tolist()
            ]
            blocks = question_blocks(questions, world.vocabulary)
            loss = answer_loss(model(album.features[picked], blocks), blocks)
            model.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.trainable(), 1.0)
            for optimiser, schedule in zip(optimisers, schedules, strict=True):
                optimiser.step()
                schedule.step()
            losses.append(loss.item())
            seconds += time.perf_counter() - began
            if step % max(1, steps // 12) == 0 or step == steps:
                curve.append((step, evaluate(model, n_scenes=n_probe, kinds=kinds).accuracy))
                if gates:
                    gates.append((step, _gates(bridge)))
                bar.set_postfix(loss=f"{losses[-1]:.2f}", right=f"{curve[-1][1]:.2f}")
                model.train()
            bar.update()
    return measured(
        model, name or _name(bridge), steps, seed, seconds, losses, curve, gates, kinds=tuple(kinds)
    )


def measured(
    model: SeeingModel,
    name: str,
    steps: int,
    seed: int,
    seconds: float,
    losses: list[float],
    curve: list[tuple[int, float]],
    gates: list[tuple[int, list[float]]],
    kinds: Sequence[str] = KINDS,
) -> Result:
    """Test a trained model with its own pictures and with every control."""
    model.eval()
    own = evaluate(model, kinds=kinds)
    return Result(
        name=name,
        steps=steps,
        seed=seed,
        seconds=round(seconds, 2),
        parameters=sum(
            p.numel()
            for part in (model.bridge, model.resampler)
            if part is not None
            for p in part.parameters()
        ),
        visual_tokens=_visual_tokens(model),
        accuracy=own.accuracy,
        by_kind=own.by_kind,
        unseen=evaluate(model, "unseen", kinds=kinds).accuracy,
        elsewhere=evaluate(model, "elsewhere", kinds=kinds).accuracy,
        blind=evaluate(model, picture="none", kinds=kinds).accuracy,
        shuffled=evaluate(model, picture="shuffled", kinds=kinds).accuracy,
        blank=evaluate(model, picture="blank", kinds=kinds).accuracy,
        losses=losses,
        curve=curve,
        gates=gates,
        model=model,
    )


def optimisers_for(model: SeeingModel, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of linear maps, AdamW for biases, norms, queries, positions and gates.

    Muon turns a matrix's step into one of the same length in every direction (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), so that no direction has to wait for the others. Vectors have
    no directions to even out, and queries or positions are lists of vectors, not maps.
    """
    maps = {id(part.weight) for part in model.modules() if isinstance(part, nn.Linear)}
    maps |= {
        id(part.in_proj_weight)
        for part in model.modules()
        if isinstance(part, nn.MultiheadAttention) and part.in_proj_weight is not None
    }
    matrices = [parameter for parameter in model.trainable() if id(parameter) in maps]
    others = [parameter for parameter in model.trainable() if id(parameter) not in maps]
    found: list[torch.optim.Optimizer] = []
    if others:
        found.append(torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01))
    if matrices:
        rate = MUON_FACTOR * learning_rate
        found.append(torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return found


def learning_rate_at(step: int, steps: int) -> float:
    """The share of the peak rate at a step: a short warm-up, then a cosine down to a thirtieth."""
    warm_up = min(20, max(1, steps // 4))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.03 + 0.97 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))) / 2


def _name(bridge: nn.Module) -> str:
    return type(bridge[0] if isinstance(bridge, nn.ModuleList) and len(bridge) else bridge).__name__


def _gates(bridge: nn.Module) -> list[float]:
    alphas = [getattr(block, "alpha", None) for block in bridge] if isinstance(bridge, nn.ModuleList) else []
    return [alpha.detach().tanh().abs().mean().item() for alpha in alphas if isinstance(alpha, Tensor)]


@torch.no_grad()
def _visual_tokens(model: SeeingModel) -> int:
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
    n = _visual_tokens(model)
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


@dataclass(frozen=True)
class Builder:
    """How to make and train one bridge of a benchmark."""

    make: Callable[[], nn.Module]
    steps: int = 600
    entrance: str = "prefix"
    merge: int = 2
    learning_rate: float | None = None
    resampler: Callable[[], nn.Module] | None = None


def bridge_benchmark(
    builders: dict[str, Builder],
    seeds: Sequence[int] = (0,),
    world: MicroWorld | None = None,
    progress: bool = True,
    kinds: Sequence[str] = KINDS,
) -> dict[str, Any]:
    """Train every bridge with every seed, one after another, and put them into one table.

    Returns:
        `{"blind": accuracy, "blind_by_kind": {…}, "bridges": [row, …]}`; a row is `Result.row()`.
    """
    world = MicroWorld.load() if world is None else world
    rows = []
    for seed in seeds:
        for name, builder in builders.items():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                bridge = builder.make()
                resampler = builder.resampler() if builder.resampler is not None else None
            result = train_bridge(
                bridge,
                steps=builder.steps,
                seed=seed,
                entrance=builder.entrance,
                merge=builder.merge,
                resampler=resampler,
                learning_rate=builder.learning_rate,
                kinds=kinds,
                world=world,
                name=name,
                progress=progress,
            )
            rows.append(result.row())
    floor = blind_floor(world, kinds=kinds)
    return {"blind": floor.accuracy, "blind_by_kind": floor.by_kind, "bridges": rows}
