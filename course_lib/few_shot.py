"""Few-shot through pictures: read a made-up word off an example, and use it for another picture.

    [picture] this ? dax <end> [picture] this ? wug <end> [picture] this ? ___

A bridge that was trained on questions alone has never met such a row; what it hands over either is enough
like words to be used in a new way, or is not. `train_on_episodes` teaches it with such rows, by either
entrance:

    prefix   a picture's visual tokens stand in the stream where the picture stands
    layers   one `<image>` tag stands there, and gated blocks let each token read the latest picture before
    it,
             no other: so a row is cut into segments, one a picture, and a block reads each with its own

Axes in this file:
    b  episodes    p  pictures of one episode, and their segments    t  tokens of one segment
    v  patch tokens    n  visual tokens of one picture    d  width    w  words of the vocabulary

Source: Tsimpoukelli et al. 2021, Multimodal few-shot learning with frozen language models, arXiv:2106.13884;
Alayrac et al. 2022, Flamingo, arXiv:2204.14198.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.errors import CourseError
from course_lib.microworld import KINDS, draw_questions, render_many
from course_lib.microworld.blocks import question_blocks
from course_lib.microworld.draws import Draws, key
from course_lib.microworld.episodes import ASKED, BINDINGS, Episode, draw_episode
from course_lib.seeing import (
    ENTRANCES,
    PICTURES,
    QUESTIONS,
    MicroWorld,
    SeeingModel,
    answer_loss,
    learning_rate_at,
    optimisers_for,
)

QUERY_CHOICES = ("own", "shuffled")
EPISODES = 16  # of one training step
MOST_TRAINED_WORDS = 3


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
    """Before each layer, a segment reads its own picture: the latest one before its tokens."""
    change = model.before_layer(each)
    if change is None:
        return None

    def run(index: int, hidden: Tensor) -> Tensor:
        segments = rearrange(hidden, "b (p t) d -> (b p) t d", p=pictures)
        changed: Tensor = rearrange(change(index, segments), "(b p) t d -> b (p t) d", p=pictures)
        return changed

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
    """Train a bridge on questions and on episodes in turn: seeing first has to be learned somewhere.

    An episode has two or three words, each shown twice; loss is on every word that has been said before.

    Args:
        steps: optimiser steps, the odd ones of 16 episodes, the even ones of questions as in `train_bridge`.
        seed, entrance, merge, resampler, learning_rate, world, progress: as in
            `course_lib.seeing.train_bridge`.

    Returns:
        The trained model, and the seconds it took.
    """
    world = MicroWorld.load() if world is None else world
    model = SeeingModel(world, bridge, entrance, merge, resampler)
    optimisers = optimisers_for(model, learning_rate or ENTRANCES[entrance])
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, partial(learning_rate_at, steps=steps)) for one in optimisers
    ]
    began = time.perf_counter()
    model.train()
    for step in tqdm(range(steps), disable=not progress, desc="episodes"):
        draws = Draws("episodes", seed, step)
        if step % 2:
            n_words, by = 2 + draws.below(MOST_TRAINED_WORDS - 1), draws.choose(BINDINGS)
            many = [draw_episode(n_words, draws.word() >> 1, by, shots=2) for _ in range(EPISODES)]
            ids = spoken(model, many)
            logits = word_logits(model, looked_at(model, many), ids)
            said = said_before(ids[:, :, -2])
            loss = F.cross_entropy(logits[said], ids[:, :, -2][said])
        else:
            picked = torch.tensor([draws.below(len(world.train.scenes)) for _ in range(PICTURES)])
            questions = [
                draw_questions(world.train.scenes[n], QUESTIONS, key(seed, step), pairs="seen", kinds=KINDS)
                for n in picked.tolist()
            ]
            blocks = question_blocks(questions, world.vocabulary)
            loss = answer_loss(model(world.train.features[picked], blocks), blocks)
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.trainable(), 1.0)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
    model.eval()
    return model, time.perf_counter() - began


def said_before(words: Int[Tensor, "b p"]) -> Bool[Tensor, "b p"]:
    """True where a word stood earlier in its row, so that it can be known."""
    same = words[:, :, None] == words[:, None, :]
    return same.tril(-1).any(-1)
