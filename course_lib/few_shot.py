"""Few-shot through pictures: read a made-up word off an example, and use it for another picture.

    [picture] this ? dax <end> [picture] this ? wug <end> [picture] this ? ___

A bridge that was trained on questions alone has never met such a row; what it hands over either is enough
like words to be used in a new way, or is not. `train_on_episodes` teaches it with rows of several pictures,
by either entrance:

    prefix   a picture's visual tokens stand in the stream where the picture stands
    layers   one `<image>` tag stands there, and gated blocks let each token read the latest picture before
             it, no other: so a row is cut into segments, one a picture, and a block reads each with its own

Axes in this file:
    b  episodes    p  pictures of one episode, and their segments    t  tokens of one segment
    v  patch tokens    n  visual tokens of one picture    d  width    w  words of the vocabulary
    q  questions after a gallery    k  words of one question block

Source: Tsimpoukelli et al. 2021, Multimodal few-shot learning with frozen language models, arXiv:2106.13884;
Alayrac et al. 2022, Flamingo, arXiv:2204.14198.
"""

import time
from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.errors import CourseError
from course_lib.language import read_blocks
from course_lib.microworld import (
    COLOURS,
    GRID,
    SHAPES,
    SIZES,
    UNSEEN_PAIRS,
    Scene,
    Thing,
    draw_questions,
    render_many,
)
from course_lib.microworld.blocks import Blocks, question_blocks
from course_lib.microworld.draws import Draws, key
from course_lib.microworld.episodes import ASKED, BINDINGS, Episode, draw_episode
from course_lib.seeing import ENTRANCES, QUESTIONS, SeeingModel, answer_loss
from course_lib.training import Stepper
from course_lib.world import MicroWorld

QUERY_CHOICES = ("own", "shuffled")
ROWS = 16  # of one training step
MOST_TRAINED_WORDS = 3
GALLERY_PICTURES = (2, 3, 4)
GALLERIES_FIRST = 0.6  # share of the steps before the first episode


def episodes(count: int, n_words: int, by: str = "colour", shots: int = 1, seed: int = 0) -> list[Episode]:
    """Many episodes of one kind."""
    return [draw_episode(n_words, key("few-shot", seed, number), by, shots) for number in range(count)]


def spoken(model: SeeingModel, many: list[Episode]) -> Int[Tensor, "b p t"]:
    """What is said after each picture, as ids: `this ? dax <end>`; the word asked for is among them."""
    ids = [[f"{ASKED} {word} <end>" for word in episode.words] for episode in many]
    return torch.tensor([[model.world.vocabulary.encode(text) for text in row] for row in ids])


@torch.no_grad()
def looked_at(model: SeeingModel, many: list[Episode]) -> Float[Tensor, "b p v d"]:
    """What the encoder makes of every picture."""
    scenes = [scene for episode in many for scene in episode.scenes]
    features = model.world.features(render_many(scenes))
    pictures: Tensor = rearrange(features, "(b p) v d -> b p v d", b=len(many))
    return pictures


def word_logits(
    model: SeeingModel, features: Float[Tensor, "b p v d"], ids: Int[Tensor, "b p t"]
) -> Float[Tensor, "b p w"]:
    """Logits of the word after each picture's question mark."""
    batch, pictures = features.shape[:2]
    each = rearrange(features, "b p v d -> (b p) v d")
    words = rearrange(model.language_model.model.embed_tokens(ids), "b p t d -> (b p) t d")
    segments = torch.cat([model.prefix(each, len(each)), words], dim=1)
    length = segments.shape[1]
    stream = rearrange(segments, "(b p) t d -> b (p t) d", b=batch)
    keep = torch.ones(stream.shape[:2], dtype=torch.bool)  # True = keep
    positions = torch.arange(stream.shape[1]).expand(batch, -1)
    logits = model.language_model(stream, keep, positions, _segmentwise(model, each, pictures))
    at_question_mark = length - 3  # its segment ends: ? dax <end>
    found: Tensor = rearrange(logits, "b (p t) w -> b p t w", p=pictures)[:, :, at_question_mark]
    return found


def _segmentwise(
    model: SeeingModel, each: Float[Tensor, "bp v d"], pictures: int
) -> Callable[[int, Tensor], Tensor] | None:
    """Before each layer, each of equally long segments reads its own picture: the latest one before it."""
    change = model.before_layer(each)
    if change is None:
        return None

    def run(index: int, hidden: Tensor) -> Tensor:
        segments = rearrange(hidden, "b (p t) d -> (b p) t d", p=pictures)
        changed: Tensor = rearrange(change(index, segments), "(b p) t d -> b (p t) d", p=pictures)
        return changed

    return run


def _gallerywise(
    model: SeeingModel, features: Float[Tensor, "b p v d"], length: int
) -> Callable[[int, Tensor], Tensor] | None:
    """Before each layer, of the first `length` tokens each reads its own picture, and the others the last."""
    of_tags = _segmentwise(model, rearrange(features, "b p v d -> (b p) v d"), features.shape[1])
    of_questions = model.before_layer(features[:, -1])
    if of_tags is None or of_questions is None:
        return None

    def run(index: int, hidden: Tensor) -> Tensor:
        tags, asked = hidden[:, :length], hidden[:, length:]
        return torch.cat([of_tags(index, tags), of_questions(index, asked)], dim=1)

    return run


@torch.no_grad()
def few_shot_accuracy(
    model: SeeingModel,
    n_words: int = 2,
    by: str = "colour",
    shots: int = 1,
    query: str = "own",
    count: int = 300,
    seed: int = 0,
) -> float:
    """Share of episodes in which the right made-up word is the likeliest of all words.

    Args:
        model: a seeing model, by either entrance.
        n_words, by, shots: see `course_lib.microworld.episodes.draw_episode`.
        query: "own"; or "shuffled", another episode's picture in the place of the one asked about.
        count: episodes.
        seed: of the episodes; those of training are others.

    Raises:
        CourseError: there is no such choice of query.
    """
    if query not in QUERY_CHOICES:
        raise CourseError(f"There is no query choice {query!r}; choose one of {', '.join(QUERY_CHOICES)}.")
    model.eval()
    right = 0
    many = episodes(count, n_words, by, shots, seed)
    for start in range(0, count, 50):
        some = many[start : start + 50]
        features, ids = looked_at(model, some), spoken(model, some)
        if query == "shuffled":
            features = torch.cat([features[:, :-1], features[:, -1:].roll(1, dims=0)], dim=1)
        best = word_logits(model, features, ids)[:, -1].argmax(-1)
        right += int((best == ids[:, -1, -2]).sum())
    return right / count


def gallery_logits(
    model: SeeingModel, features: Float[Tensor, "b p v d"], blocks: Blocks
) -> Float[Tensor, "b q k_less_1 w"]:
    """Logits of the words of questions that are asked after several pictures, about all of them.

    By the layers, each picture's tag reads its own picture, and a question the last one. Of the others it
    knows only what their tags carry: that is what makes a bridge put something into them.
    """
    each = rearrange(features, "b p v d -> (b p) v d")
    prefix = rearrange(model.prefix(each, len(each)), "(b p) n d -> b (p n) d", b=len(features))
    keep = torch.ones(prefix.shape[:2], dtype=torch.bool)  # True = keep
    change = _gallerywise(model, features, prefix.shape[1])
    return read_blocks(model.language_model, prefix, keep, blocks.ids, blocks.keep, change)[:, :, :-1]


class ThingPictures:
    """Pictures of one thing each, looked at once: every thing a bridge may train on, in some looks.

    A look is a shade, a jitter and a grain. What is drawn in training is picked from here, so that no step
    has to render a picture or to ask the encoder.

    Args:
        world: whose encoder looks.
        looks: of each thing.
        seed: of the looks.
    """

    def __init__(self, world: MicroWorld, looks: int = 4, seed: int = 0) -> None:
        self.looks = looks
        pairs = [pair for pair in product(COLOURS, SHAPES) if pair not in UNSEEN_PAIRS]
        places = product(range(GRID), range(GRID))
        things = [Thing(size, *pair, *at) for size, pair, at in product(SIZES, pairs, places)]
        draws = Draws("thing pictures", seed)
        scenes = [Scene((thing,), draws.word()) for thing in things for _ in range(looks)]
        with torch.no_grad():
            self.features = world.features(render_many(scenes))
        self.first = {thing: looks * n for n, thing in enumerate(things)}

    def of(self, rows: list[list[Thing]], draws: Draws) -> Float[Tensor, "b p v d"]:
        """One look at each thing; all rows are equally long."""
        return self.features[
            torch.tensor([[self.first[thing] + draws.below(self.looks) for thing in row] for row in rows])
        ]


def train_on_episodes(
    bridge: nn.Module,
    *,
    steps: int = 600,
    seed: int = 0,
    entrance: str = "prefix",
    merge: int = 2,
    resampler: nn.Module | None = None,
    learning_rate: float | None = None,
    world: MicroWorld | None = None,
    progress: bool = True,
) -> tuple[SeeingModel, float]:
    """Train a bridge on rows of several pictures with text between and after them.

    Two kinds of row. A *gallery* is a training scene taken apart, one picture for each thing, with eight
    questions after the last. An *episode* has two or three made-up words, each shown twice; loss is on every
    word that has been said before. Galleries alone come first, for `GALLERIES_FIRST` of the steps, then both
    in turn. Without them an episode is not learned by the layers: where no tag carries anything yet, binding
    is a guess, and a guess has no gradient worth following.

    Args:
        steps: optimiser steps of 16 rows each.
        seed, entrance, merge, resampler, learning_rate, world, progress: as in
            `course_lib.training.train_bridge`.

    Returns:
        The trained model, and the seconds it took.

    Raises:
        CourseError: the world has too few training scenes to make galleries of.
    """
    world = MicroWorld.load() if world is None else world
    model = SeeingModel(world, bridge, entrance, merge, resampler)
    pictures = ThingPictures(world)
    by_size = [
        [scene for scene in world.train.scenes if len(scene.things) == count] for count in GALLERY_PICTURES
    ]
    if not all(by_size):
        raise CourseError(
            f"Among the {len(world.train.scenes)} training scenes there is none with "
            f"{GALLERY_PICTURES[by_size.index([])]} things; load a world with more, 200 are enough."
        )
    stepper = Stepper(model, learning_rate or ENTRANCES[entrance], steps)
    began = time.perf_counter()
    model.train()
    for step in tqdm(range(steps), disable=not progress, desc="episodes"):
        draws = Draws("episodes", seed, step)
        if step < GALLERIES_FIRST * steps or step % 2:
            scenes = draws.choose(by_size)
            loss = gallery_loss(model, pictures, [draws.choose(scenes) for _ in range(ROWS)], draws)
        else:
            loss = episode_loss(model, pictures, draws)
        stepper.step(loss)
    model.eval()
    return model, time.perf_counter() - began


def gallery_loss(
    model: SeeingModel, pictures: ThingPictures, scenes: list[Scene], draws: Draws
) -> Float[Tensor, ""]:
    """Loss on eight questions about each of some scenes with as many things, shown one by one."""
    seed = draws.word()
    questions = [draw_questions(scene, QUESTIONS, seed, pairs="seen") for scene in scenes]
    blocks = question_blocks(questions, model.world.vocabulary)
    features = pictures.of([list(scene.things) for scene in scenes], draws)
    return answer_loss(gallery_logits(model, features, blocks), blocks)


def episode_loss(model: SeeingModel, pictures: ThingPictures, draws: Draws) -> Float[Tensor, ""]:
    """Loss on the words that have been said before, in episodes of two or three words shown twice."""
    n_words, by = 2 + draws.below(MOST_TRAINED_WORDS - 1), draws.choose(BINDINGS)
    many = [draw_episode(n_words, draws.word() >> 1, by, shots=2) for _ in range(ROWS)]
    features = pictures.of([[scene.things[0] for scene in episode.scenes] for episode in many], draws)
    ids = spoken(model, many)
    said = said_before(ids[:, :, -2])
    return F.cross_entropy(word_logits(model, features, ids)[said], ids[:, :, -2][said])


def said_before(words: Int[Tensor, "b p"]) -> Bool[Tensor, "b p"]:
    """True where a word stood earlier in its row, so that it can be known."""
    same = words[:, :, None] == words[:, None, :]
    return same.tril(-1).any(-1)
