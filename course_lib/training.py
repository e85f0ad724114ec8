"""Train a bridge between the frozen encoder and the frozen language model, and measure what it can do.

    world = MicroWorld.load()
    result = train_bridge(MLPProjector(4 * world.d_visual, world.d_text), steps=600, seed=0)
    result.accuracy, result.by_kind, result.seconds

A step shows 16 pictures with 8 questions each. Matrices of linear maps are trained by Muon, everything else
by AdamW: AdamW alone leaves the blind floor after 200 steps, with Muon it takes 50. Everything runs for a
fixed number of steps, never for a time, so that the same seed gives the same result.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.microworld import KINDS, draw_questions
from course_lib.microworld.blocks import question_blocks
from course_lib.microworld.draws import key
from course_lib.seeing import (
    ENTRANCES,
    QUESTIONS,
    SeeingModel,
    Trainee,
    answer_loss,
    evaluate,
    visual_tokens,
)
from course_lib.world import MicroWorld

PICTURES = 16  # of one training step
MUON_FACTOR = 10.0  # Muon's rate is so many times the learning rate given; both follow one schedule
LONGEST = 1.0  # a gradient longer than this is shortened to it


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


class Stepper:
    """One training step after another: gradients, a clip, both optimisers, both schedules.

    Every training of a bridge in this course takes its steps here, so that they differ in what they show the
    model and in nothing else.

    Args:
        model: whose trainable parameters change.
        learning_rate: peak of AdamW's rate; Muon's is ten times as high.
        steps: how many there will be; the schedule ends with the last.
    """

    def __init__(self, model: Trainee, learning_rate: float, steps: int) -> None:
        self.model = model
        self.optimisers = optimisers_for(model, learning_rate)
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(one, partial(learning_rate_at, steps=steps))
            for one in self.optimisers
        ]

    def step(self, loss: Float[Tensor, ""]) -> float:
        """Change the parameters so that this loss falls, and return it as a number."""
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.trainable(), LONGEST)
        for optimiser, schedule in zip(self.optimisers, self.schedules, strict=True):
            optimiser.step()
            schedule.step()
        return loss.item()


def question_loss(
    model: SeeingModel, picked: Sequence[int], seed: int, kinds: Sequence[str] = KINDS
) -> Float[Tensor, ""]:
    """Loss on eight questions about each of some training scenes, none of which names an unseen pair."""
    album = model.world.train
    questions = [
        draw_questions(album.scenes[index], QUESTIONS, seed, pairs="seen", kinds=tuple(kinds))
        for index in picked
    ]
    blocks = question_blocks(questions, model.world.vocabulary)
    return answer_loss(model(album.features[list(picked)], blocks), blocks)


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
    rate = ENTRANCES[entrance] if learning_rate is None else learning_rate
    stepper = Stepper(model, rate, steps)
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
            picked = torch.randint(len(world.train.scenes), (PICTURES,), generator=order).tolist()
            losses.append(stepper.step(question_loss(model, picked, key(seed, step), kinds)))
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
        visual_tokens=visual_tokens(model),
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


def optimisers_for(model: Trainee, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of linear maps, AdamW for biases, norms, queries, positions and gates.

    Muon turns a matrix's step into one of the same length in every direction (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), so that no direction has to wait for the others. Vectors have
    no directions to even out, and queries or positions are lists of vectors, not maps.

    A gate (a parameter with a single number) keeps pace with the matrix behind it: AdamW at Muon's rate, and
    no decay. Where a resampler is read this matters (.964 against .928 of new scenes after 500 steps
    of seed 0, .859 against .714 of unseen pairs); where the patches are read directly it does not.
    """
    maps = {id(part.weight) for part in model.modules() if isinstance(part, nn.Linear)}
    # torch keeps the maps of its attention as bare parameters: one for all three, or one each.
    maps |= {
        id(value)
        for part in model.modules()
        if isinstance(part, nn.MultiheadAttention)
        for name, value in part.named_parameters(recurse=False)
        if name.endswith("proj_weight")
    }
    matrices = [parameter for parameter in model.trainable() if id(parameter) in maps]
    gates = [parameter for parameter in model.trainable() if parameter.numel() == 1]
    taken = maps | {id(gate) for gate in gates}
    others = [parameter for parameter in model.trainable() if id(parameter) not in taken]
    fast = MUON_FACTOR * learning_rate
    groups: list[dict[str, Any]] = []
    if others:
        groups.append({"params": others, "lr": learning_rate, "weight_decay": 0.01})
    if gates:
        groups.append({"params": gates, "lr": fast, "weight_decay": 0.0})
    found: list[torch.optim.Optimizer] = []
    if groups:
        found.append(torch.optim.AdamW(groups, betas=(0.9, 0.98)))
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=fast, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
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
