"""Dense alignment: teach a bridge the very tokens that the language model would have written itself.

Answers are a roundabout teacher: "two" says little about what stands where. Here each visual token is told
what it should be: the sum of the five word embeddings of the thing in its cell, or the embedding of `<image>`
where there is none. That takes seconds where answers take a minute. It is also another kind of supervision:
it needs to know which thing lies in which cell, and a language model that reads such sums (ours was taught
to).

Axes in this file:
    b  pictures    n  visual tokens, one for each cell    d  width of the language model

Related: the feature alignment stage of Liu et al. 2023, LLaVA, arXiv:2304.08485, which uses captions instead.
"""

import time

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.errors import ShapeError
from course_lib.microworld import GRID, Scene
from course_lib.microworld.sentences import fused_words
from course_lib.seeing import SeeingModel
from course_lib.training import Result, Stepper, measured
from course_lib.world import MicroWorld

PICTURES = 64  # of one step; no question has to be read, so a step is cheap


def fused_tokens(world: MicroWorld, scenes: list[Scene]) -> Float[Tensor, "b n d"]:
    """What each of the nine cells would be in the language model's own words."""
    words, ids = world.language_model.model.embed_tokens.weight, world.vocabulary.ids
    tokens = words[world.vocabulary.image_id].expand(len(scenes), GRID * GRID, -1).clone()
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            tokens[row, thing.cell] = words[[ids[name] for name in fused_words(thing)]].sum(0)
    return tokens


def align_bridge(
    bridge: nn.Module,
    *,
    steps: int = 600,
    seed: int = 0,
    learning_rate: float = 3e-3,
    kinds: tuple[str, ...] | None = None,
    world: MicroWorld | None = None,
    name: str = "aligned",
    progress: bool = True,
) -> Result:
    """Train a bridge on the fused tokens of 64 pictures a step, then test it with questions.

    Args:
        bridge: reads 2 x 2 merged patches and returns one token for each of the nine cells.
        steps: optimiser steps; 600 take some seconds.
        seed, learning_rate, world, name, progress: as in `course_lib.training.train_bridge`.
        kinds: of question, for the test alone; all simple ones if not given.

    Raises:
        ShapeError: the bridge does not return nine tokens.
    """
    world = MicroWorld.load() if world is None else world
    model = SeeingModel(world, bridge)
    target = fused_tokens(world, world.train.scenes)
    stepper = Stepper(model, learning_rate, steps)
    order = torch.Generator().manual_seed(seed)
    size = world.language_model.model.embed_tokens.weight.pow(2).mean()
    losses: list[float] = []
    began = time.perf_counter()
    model.train()
    for _ in tqdm(range(steps), disable=not progress, desc=name):
        picked = torch.randint(len(target), (PICTURES,), generator=order)
        tokens = model.prefix(world.train.features[picked], PICTURES)
        if tokens.shape != target[picked].shape:
            raise ShapeError(
                f"The bridge returned {tokens.shape[1]} tokens a picture; alignment needs one for each "
                f"of the {GRID * GRID} cells."
            )
        losses.append(stepper.step(F.mse_loss(tokens, target[picked]) / size))
    seconds = time.perf_counter() - began
    extra = {} if kinds is None else {"kinds": kinds}
    return measured(model, name, steps, seed, seconds, losses, [], [], **extra)
