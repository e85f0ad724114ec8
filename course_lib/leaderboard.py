"""Train a bridge from outside, under a budget, and count what it costs: a trial, as the leaderboard runs it.

    found = trial(MyFusion, world)
    board(found)

What is asked of a bridge: from the 36 patch tokens of a picture, positions already added, make the few that
stand in front of a frozen language model's words. The bridge is only ever *asked*: for tokens, and for the
gradients of its parameters. Optimiser, questions and answers stay on the asker's side, and the new weights
are loaded back by name. So a bridge is trained in the same way in your notebook and in grading, where it
lives in another process and no answer ever gets there.

    visual  b 36 128   features of the frozen encoder + a fixed code for each place, a grid of 6 x 6
    YOURS   b n 128    at most 6 tokens
    x scale b n 128    about as large as a word; the frozen language model reads them, then each question

Axes in this file:
    b  pictures    n  visual tokens in the stream    v  patch tokens    d  their width
    q  questions of one picture    k  words of one question block    w  words of the vocabulary
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib.checking import Instance, Subject, expect_finite, expect_tensor
from course_lib.exhibits import Table
from course_lib.language import read_blocks
from course_lib.microworld import Question, Scene, draw_questions
from course_lib.microworld.blocks import Blocks, exact_match, question_blocks
from course_lib.microworld.draws import key
from course_lib.seeing import QUESTIONS, Eyes, answer_loss
from course_lib.training import LONGEST, MUON_FACTOR, learning_rate_at
from course_lib.world import MicroWorld

LEARNING_RATE = 3e-3  # of AdamW; Muon's is ten times as high
STEPS, PICTURES = 90, 8  # eight questions about each picture of a step
COSTS = ("tokens", "parameters", "flops")
SAID = {"flops": "FLOPs"}
SCENES = 1000  # to train on, in grading
CELLS = 36  # patch tokens of one picture
# What is asked, and how often: mostly for places, which nobody knows who knows only what there is. Colours
# are asked for too, because there are scenes in which nothing can be named without its place.
ASKED = ("where", "where", "where", "where", "colour")
KINDS = ("where", "colour")  # each once; the board goes by the first


@dataclass(frozen=True)
class Counted:
    """What one picture costs: tokens in the stream, trained parameters, and FLOPs of the bridge."""

    tokens: int
    parameters: int
    flops: int


BUDGET = Counted(tokens=6, parameters=120_000, flops=1_500_000)


@dataclass(frozen=True)
class Score:
    """Share of questions answered right in every word, by kind."""

    by_kind: dict[str, float]

    @property
    def where(self) -> float:
        """Of the questions that ask for a place: the number by which the board goes."""
        return self.by_kind["where"]


def count(bridge: Instance, d_visual: int = 128) -> Counted:
    """Tokens, parameters and FLOPs, asked of a bridge with one picture of noise."""
    visual = torch.randn(1, CELLS, d_visual, generator=torch.Generator().manual_seed(0))
    tokens = expect_tensor(bridge(visual))
    shape = tuple(tokens.shape)
    parameters = sum(one.numel() for one in bridge.parameters().values())
    return Counted(shape[1] if len(shape) > 1 else 0, parameters, bridge.flops(visual))


class Housing:
    """All that stands around a bridge: places for its patches, a frozen language model behind its tokens.

    Args:
        world: the frozen pieces and the training scenes.
    """

    def __init__(self, world: MicroWorld) -> None:
        self.world = world
        self.eyes = Eyes(world.grid, world.d_visual, 1).requires_grad_(False)

    def visual(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v d"]:
        """What a bridge reads: features, and the code of each one's place."""
        found: Tensor = self.eyes(features)
        return found

    def logits(self, tokens: Float[Tensor, "b n d"], blocks: Blocks) -> Float[Tensor, "b q k_less_1 w"]:
        """Of the word that follows each word of each question."""
        keep = torch.ones(tokens.shape[:2], dtype=torch.bool)  # True = keep: every visual token is real
        front = tokens * self.world.output_scale
        return read_blocks(self.world.language_model, front, keep, blocks.ids, blocks.keep)[:, :, :-1]

    def tokens(self, bridge: Instance, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b n d"]:
        """A bridge's tokens, of a shape that can be read."""
        look = "One row of tokens for each picture, each as wide as a word: (b, n, 128)."
        found = expect_tensor(bridge(visual), look=look)
        n = found.shape[1] if found.ndim == 3 else 1
        expect_tensor(found, (len(visual), n, self.world.d_text), look=look)
        expect_finite(found, look="Training made the tokens infinite. What keeps them at the size of a word?")
        return found.float()


def optimisers(weights: Mapping[str, nn.Parameter]) -> list[torch.optim.Optimizer]:
    """Muon for whatever has two axes and a name that ends in `weight`, AdamW for all else."""
    matrices = [one for name, one in weights.items() if one.ndim == 2 and name.endswith("weight")]
    taken = {id(one) for one in matrices}
    others = [one for one in weights.values() if id(one) not in taken]
    found: list[torch.optim.Optimizer] = []
    if matrices:
        rate = MUON_FACTOR * LEARNING_RATE
        found.append(torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    if others:
        found.append(torch.optim.AdamW(others, lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98)))
    return found


def train(bridge: Instance, housing: Housing, steps: int = STEPS, seed: int = 0) -> list[float]:
    """Train a bridge for a number of steps, asking it for nothing but tokens and gradients.

    Args:
        bridge: trained in place; its new weights are loaded by name after each step.
        steps: of 8 pictures with 8 questions each.
        seed: of the pictures and the questions.

    Returns:
        The loss of each step.
    """
    world = housing.world
    start = bridge.parameters()
    # Copies, because what was answered is kept as it was. A convolution's kernel is the matrix of a linear
    # map, too: one row for each channel that comes out.
    weights = {
        name: nn.Parameter(
            (one.flatten(1) if one.ndim > 2 and name.endswith("weight") else one).float().clone()
        )
        for name, one in start.items()
    }
    found = optimisers(weights)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, partial(learning_rate_at, steps=steps)) for one in found
    ]
    order = torch.Generator().manual_seed(seed % (1 << 63))
    losses = []
    bridge.train()
    for step in range(1, steps + 1):
        picked = torch.randint(len(world.train.scenes), (PICTURES,), generator=order).tolist()
        blocks = _ask([world.train.scenes[row] for row in picked], world, key(seed, step), "seen")[1]
        visual = housing.visual(world.train.features[picked])
        tokens = housing.tokens(bridge, visual).clone().requires_grad_()
        loss = answer_loss(housing.logits(tokens, blocks), blocks)
        (pull,) = torch.autograd.grad(loss, tokens)
        for name, gradient in bridge.parameter_gradients(visual, cotangent=pull).items():
            if name in weights:
                weights[name].grad = None if gradient is None else gradient.clone().view_as(weights[name])
        nn.utils.clip_grad_norm_(weights.values(), LONGEST)
        for optimiser, schedule in zip(found, schedules, strict=True):
            optimiser.step()
            schedule.step()
        bridge.load({name: one.detach().view_as(start[name]) for name, one in weights.items()})
        losses.append(loss.item())
    bridge.eval()
    return losses


@torch.no_grad()
def score(
    bridge: Instance | None,
    housing: Housing,
    scenes: Sequence[Scene],
    features: Float[Tensor, "b v d"],
    seed: int = 0,
) -> Score:
    """Ask eight questions about each scene and count the answers that are right in every word.

    Args:
        bridge: in eval mode; None asks the language model without any picture, behind its `<image>` tag.
    """
    questions, blocks = _ask(scenes, housing.world, seed, "all")
    right = []
    for rows in torch.split(torch.arange(len(scenes)), 100):
        if bridge is None:
            word = housing.world.language_model.model.embed_tokens.weight[housing.world.vocabulary.image_id]
            tokens = word.expand(len(rows), 1, -1) / housing.world.output_scale
        else:
            tokens = housing.tokens(bridge, housing.visual(features[rows]))
        right.append(exact_match(housing.logits(tokens, blocks.rows(rows)), blocks.rows(rows)))
    return _score(torch.cat(right), questions)


def _ask(
    scenes: Sequence[Scene], world: MicroWorld, seed: int, pairs: str
) -> tuple[list[list[Question]], Blocks]:
    questions = [draw_questions(scene, QUESTIONS, seed, pairs=pairs, kinds=ASKED) for scene in scenes]
    return questions, question_blocks(questions, world.vocabulary)


def _score(right: Bool[Tensor, "b q"], questions: Sequence[Sequence[Question]]) -> Score:
    of_kind = {kind: torch.tensor([[one.kind == kind for one in row] for row in questions]) for kind in KINDS}
    return Score({kind: right[rows].float().mean().item() for kind, rows in of_kind.items() if rows.any()})


# -- the public board ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What one design costs, and what it answers on the public split after a short training."""

    name: str
    cost: Counted
    steps: int
    seed: int
    score: Score
    final_loss: float
    bridge: Instance | None = field(default=None, repr=False)

    def over(self) -> list[str]:
        """What is over the budget, in words; empty where all is within."""
        pairs = ((name, getattr(self.cost, name), getattr(BUDGET, name)) for name in COSTS)
        return [f"{cost:,} {SAID.get(name, name)} of {most:,}" for name, cost, most in pairs if cost > most]


def trial(
    design: type[nn.Module], world: MicroWorld, steps: int = STEPS, seed: int = 0, n_scenes: int = 200
) -> Trial:
    """Build a design, train it as grading does, and test it on scenes that everybody can see.

    Args:
        design: called without arguments, with torch's generator at `seed`.
        world: the frozen pieces; its "new" album is the public split.
        steps: of 8 pictures with 8 questions each; 90 take about five seconds on one core.
        seed: of the weights, the training pictures and their questions.
        n_scenes: test scenes, from the album's beginning.

    Raises:
        CheckFailure: the tokens have a shape that nobody can read, or are not finite.
    """
    housing = Housing(world)
    bridge = Subject.here(design.__name__, design).build_from(seed)
    cost = count(bridge, world.d_visual)
    losses = train(bridge, housing, steps, seed)
    found = score(bridge, housing, world.new.scenes[:n_scenes], world.new.features[:n_scenes])
    return Trial(design.__name__, cost, steps, seed, found, sum(losses[-10:]) / len(losses[-10:]), bridge)


def blind(world: MicroWorld, n_scenes: int = 200) -> Score:
    """What the language model gets right on the public split without any picture."""
    return score(None, Housing(world), world.new.scenes[:n_scenes], world.new.features[:n_scenes])


class MeanOfAll(nn.Module):
    """All patches averaged, two maps behind it: one token."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(128, 256), nn.Linear(256, 128)

    def forward(self, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b 1 d"]:
        found: Tensor = self.down(F.gelu(self.up(visual.mean(dim=1, keepdim=True))))
        return found


class EachPatch(nn.Module):
    """One map for every patch: 36 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.to_word = nn.Linear(128, 128)

    def forward(self, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b v d"]:
        found: Tensor = self.to_word(visual)
        return found


class FourAsOne(nn.Module):
    """2 x 2 patches side by side, two maps behind them: nine tokens, as in week 2."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(512, 256), nn.Linear(256, 128)

    def forward(self, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b 9 d"]:
        cells = rearrange(visual, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=3, j=2)
        found: Tensor = self.down(F.gelu(self.up(cells)))
        return found


class SixLatents(nn.Module):
    """Six learned queries that read all patches twice, with torch's attention at full width."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(6, 128))
        self.norms = nn.ModuleList(nn.LayerNorm(128) for _ in range(2))
        self.reads = nn.ModuleList(nn.MultiheadAttention(128, 4, batch_first=True) for _ in range(2))
        self.to_word = nn.Linear(128, 128)

    def forward(self, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b 6 d"]:
        latents = repeat(self.latents, "n d -> b n d", b=len(visual))
        for norm, read in zip(self.norms, self.reads, strict=True):
            latents = latents + read(norm(latents), visual, visual, need_weights=False)[0]
        found: Tensor = self.to_word(latents)
        return found


# Four designs without a thought for the budget, each measured once:
#     for design in BASELINES: trial(design, MicroWorld.load(), seed=seed), for seeds 0 and 1
# A test counts their costs anew; their answers are kept here, as the mean over both.
BASELINES: tuple[type[nn.Module], ...] = (MeanOfAll, EachPatch, FourAsOne, SixLatents)


STANDINGS: dict[str, Score] = {
    "MeanOfAll": Score({"where": 0.179, "colour": 0.213}),
    "EachPatch": Score({"where": 0.601, "colour": 0.533}),
    "FourAsOne": Score({"where": 0.910, "colour": 0.770}),
    "SixLatents": Score({"where": 0.624, "colour": 0.610}),
}
BLIND = Score({"where": 0.100, "colour": 0.192})


def board(*trials: Trial) -> Table:
    """Trials beside the baselines, by how many places they know; a row over the budget says in what."""
    rows: list[tuple[float, list[object]]] = [(BLIND.where, ["no picture", "", "", "", *_answers(BLIND), ""])]
    rows += [(one.score.where, _row(one.name, one.cost, one.score)) for one in trials]
    for design in BASELINES:
        cost = count(Subject.here(design.__name__, design).build())
        standing = STANDINGS[design.__name__]
        rows.append((standing.where, _row(f"baseline: {design.__name__}", cost, standing)))
    header = ["design", "tokens", "parameters", "FLOPs", *KINDS, "over the budget in"]
    return Table(header, [row for _, row in sorted(rows, key=lambda row: -row[0])])


def _row(name: str, cost: Counted, found: Score) -> list[object]:
    over = [SAID.get(what, what) for what in COSTS if getattr(cost, what) > getattr(BUDGET, what)]
    return [name, cost.tokens, cost.parameters, cost.flops, *_answers(found), ", ".join(over)]


def _answers(found: Score) -> list[object]:
    return [found.by_kind[kind] for kind in KINDS]
