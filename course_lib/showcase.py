"""Eight experiments on the two backbones, ready for a notebook: each returns its numbers and a figure.

    numbers, figure = position_blindness()

What they have in common: the claim is measured and never remembered, the control stands in the same figure,
and a lesser backbone shows what the thing in question is worth by leaving it out.

Axes in this file:
    n  things, one after another    d  width of a thing's merged patch tokens    k  classes of a probe
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib import plots
from course_lib.alignment import align_bridge
from course_lib.backbones import load_contrastive
from course_lib.errors import CourseError
from course_lib.exhibits import Exhibit
from course_lib.microworld import (
    COLOURS,
    COLUMNS,
    KINDS,
    ROWS,
    SHAPES,
    Scene,
    Thing,
    Vocabulary,
    draw_scenes,
    render_many,
)
from course_lib.microworld.sentences import caption, describe
from course_lib.seeing import SeeingModel, blind_floor, evaluate, pointing_game
from course_lib.training import Result, train_bridge
from course_lib.vision import ContrastiveModel, to_pixels
from course_lib.world import Album, MicroWorld

Numbers = dict[str, Any]
READING = (*KINDS, "digit")  # the kinds of question where digits are written by hand
TILE_TOKENS = (1, 4, 9, 36)  # what 6 x 6 patches can be averaged to and remain a square
PLACES = tuple((row, column) for row in range(len(ROWS)) for column in range(len(COLUMNS)))


def mlp(world: MicroWorld, seed: int = 0) -> nn.Module:
    """The bridge of these experiments: two linear maps around a GELU, on merged patches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wide = 4 * world.d_visual
        return nn.Sequential(nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, world.d_text))


# -- 1. position ------------------------------------------------------------------------------------------


@torch.no_grad()
def position_blindness(count: int = 200) -> tuple[Numbers, Exhibit]:
    """Plain CLIP does not know where things are; hard negatives ask for it.

    Pictures of one thing, and captions that differ from the true one in one property: is the true one the
    nearest?
    And: of two pictures with the same things, is the caption nearer to its own?

    Args:
        count: pictures.
    """
    single = [scene for scene in draw_scenes(8 * count, "new", 3) if len(scene.things) == 1][:count]
    several = [scene for scene in draw_scenes(3 * count, "new", 4) if len(scene.things) > 1][:count]
    scores: dict[str, dict[str, float]] = {}
    for name, which in (("captions alone", "plain"), ("with moved scenes and regions", "best")):
        model = load_contrastive(which=which)
        scores[name] = {
            "colour": _zero_shot(model, single, lambda t: [_like(t, colour=c) for c in COLOURS]),
            "shape": _zero_shot(model, single, lambda t: [_like(t, shape=s) for s in SHAPES]),
            "place": _zero_shot(model, single, lambda t: [_like(t, row=r, column=c) for r, c in PLACES]),
            "own or moved": _own_or_moved(model, several),
        }
    chance = {"colour": 1 / 6, "shape": 1 / 5, "place": 1 / 9, "own or moved": 1 / 2}
    figure = plots.by_kind(
        {**scores, "chance": chance}, xlabel="what the captions differ in", ylabel="right caption nearest"
    )
    return {"scores": scores, "chance": chance}, figure


def _like(thing: Thing, **changes: Any) -> Thing:
    fields = {name: getattr(thing, name) for name in ("size", "colour", "shape", "row", "column")}
    return Thing(**{**fields, **changes})


def _sentences(model: ContrastiveModel, texts: Sequence[str]) -> Tensor:
    rows = Vocabulary().rows([f"<start> {text} <end>" for text in texts], 32)
    return model.encode_sentences(torch.tensor(rows))


def _pictures(model: ContrastiveModel, scenes: list[Scene]) -> Tensor:
    return model.encode_pictures(to_pixels(torch.from_numpy(render_many(scenes))))


def _zero_shot(
    model: ContrastiveModel, scenes: list[Scene], options: Callable[[Thing], list[Thing]]
) -> float:
    pictures = _pictures(model, scenes)
    hits = []
    for picture, scene in zip(pictures, scenes, strict=True):
        things = options(scene.things[0])
        best = int((_sentences(model, [describe(thing) for thing in things]) @ picture).argmax())
        hits.append(things[best] == scene.things[0])
    return sum(hits) / len(hits)


def _own_or_moved(model: ContrastiveModel, scenes: list[Scene]) -> float:
    captions = _sentences(model, [caption(scene) for scene in scenes])
    own = (captions * _pictures(model, scenes)).sum(1)
    moved = (captions * _pictures(model, [scene.moved(0) for scene in scenes])).sum(1)
    return (own > moved).float().mean().item()


# -- 2. the missing red ring ------------------------------------------------------------------------------


def missing_red_ring(steps: int = 600, seed: int = 0, n_scenes: int = 4000) -> tuple[Numbers, Exhibit]:
    """A bridge that never met a red ring cannot name its shape, unless the encoder tells shape from colour.

    A linear probe reads shapes off the encoder's tokens: for pairs it was trained on, for pairs it was not,
    and for those again after every thing of that pair's colour was taken out of its training. If the last is
    better than the second, the probe had used the colour as evidence against the shape. Then a bridge,
    through the frozen language model.

    Args:
        steps: of the two bridges; about a minute each at 600.
        seed: of the bridges.
        n_scenes: training scenes.
    """
    scores: dict[str, dict[str, float]] = {}
    for name, which in (("no region phrases", "no regions"), ("region phrases", "best")):
        world = MicroWorld.load(n_scenes=n_scenes, encoder=which)
        train, test = things_of(world.train), things_of(world.unseen)
        new = things_of(world.new)
        probe = fit_probe(train[0], train[1], len(SHAPES))
        unseen = test[3]
        result = train_bridge(mlp(world, seed), steps=steps, seed=seed, world=world, progress=False)
        kinds = evaluate(result.model, "unseen", kinds=("shape",))
        scores[name] = {
            "probe, seen pairs": _right(probe, new[0], new[1]),
            "probe, unseen pairs": _right(probe, test[0][unseen], test[1][unseen]),
            "the same, colour never met": _without_the_colour(train, test),
            "bridge, new scenes": result.by_kind["shape"],
            "bridge, unseen pairs": kinds.by_kind["shape"],
        }
    return scores, plots.by_kind(scores, xlabel="who names the shape", ylabel="named right")


def things_of(
    album: Album,
) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"], Int[Tensor, " n"], Tensor]:
    """Of every thing: its cell's four tokens side by side, shape, colour, and whether its pair is unseen."""
    merged = rearrange(album.features, "b (y i x j) d -> b (y x) (i j d)", y=3, i=2, x=3, j=2)
    at = [(row, thing) for row, scene in enumerate(album.scenes) for thing in scene.things]
    tokens = merged[[row for row, _ in at], [thing.cell for _, thing in at]]
    shapes = torch.tensor([SHAPES.index(thing.shape) for _, thing in at])
    colours = torch.tensor([COLOURS.index(thing.colour) for _, thing in at])
    return tokens, shapes, colours, torch.tensor([thing.is_unseen for _, thing in at])


def fit_probe(
    tokens: Float[Tensor, "n d"], classes: Int[Tensor, " n"], n_classes: int, decay: float = 1e-3
) -> nn.Linear:
    """A linear classifier by LBFGS: what can be read off the tokens, with nothing learned about seeing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        probe = nn.Linear(tokens.shape[1], n_classes)
    optimiser = torch.optim.LBFGS(probe.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(probe(tokens), classes) + decay * probe.weight.pow(2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return probe


@torch.no_grad()
def _right(probe: nn.Module, tokens: Tensor, classes: Tensor) -> float:
    return float((probe(tokens).argmax(1) == classes).float().mean())


def _without_the_colour(train: tuple[Tensor, ...], test: tuple[Tensor, ...]) -> float:
    """Shape of unseen pairs, read by a probe that never met anything of the pair's colour."""
    right = total = 0.0
    for colour in range(len(COLOURS)):
        asked = test[3] & (test[2] == colour)
        if not asked.any():
            continue
        other = train[2] != colour
        probe = fit_probe(train[0][other], train[1][other], len(SHAPES))
        right += _right(probe, test[0][asked], test[1][asked]) * int(asked.sum())
        total += int(asked.sum())
    return right / total


# -- 3 to 5. one thing changed, the same bridge -----------------------------------------------------------


def last_against_penultimate(
    steps: int = 400, seed: int = 0, encoder: str = "best"
) -> tuple[Numbers, Exhibit]:
    """Which layer's patch tokens should a bridge read? A popular rule, and here it makes no difference.

    The contrastive loss reads the class token alone, so nothing is asked of the last layer's patch tokens;
    LLaVA and others therefore read the layer before. In this world both serve equally well: .989 and .988
    with the best encoder, .892 and .894 with the one that has no region phrases and so nothing else that
    could ask for them (400 steps, one seed). A claim about large encoders need not hold for small ones.

    Args:
        steps: of each of the two bridges; under a minute each at 400.
        seed: of the bridges.
        encoder: as in `MicroWorld.load`.
    """
    worlds = {
        "penultimate layer": MicroWorld.load(encoder=encoder),
        "last layer": MicroWorld.load(encoder=encoder, layer=-1),
    }
    return _same_bridge(worlds, steps, seed)


def fused_against_text(steps: int = 400, seed: int = 0) -> tuple[Numbers, Exhibit]:
    """A language model that has met a whole thing in one token, and one that has met facts in words only."""
    worlds = {
        "has read fused facts": MicroWorld.load(),
        "has read words only": MicroWorld.load(language_model="text only"),
    }
    return _same_bridge(worlds, steps, seed)


def _same_bridge(worlds: dict[str, MicroWorld], steps: int, seed: int) -> tuple[Numbers, Exhibit]:
    results = {
        name: train_bridge(mlp(world, seed), steps=steps, seed=seed, world=world, name=name, progress=False)
        for name, world in worlds.items()
    }
    floor = blind_floor(next(iter(worlds.values()))).accuracy
    numbers = {name: {"accuracy": r.accuracy, "by_kind": r.by_kind} for name, r in results.items()}
    curves = {name: result.curve for name, result in results.items()}
    return {**numbers, "blind": floor}, plots.learning_curves(curves, floor)


def alignment_against_answers(steps: int = 600, seed: int = 0) -> tuple[Numbers, Exhibit]:
    """Seconds of being told each token, or a minute of being told answers; both are then asked questions."""
    world = MicroWorld.load()
    results = {
        "told each token": align_bridge(
            mlp(world, seed), steps=steps, seed=seed, world=world, progress=False
        ),
        "told answers": train_bridge(mlp(world, seed), steps=steps, seed=seed, world=world, progress=False),
    }
    scores = {
        f"{name}, {result.seconds:.0f} s": {**result.by_kind, "all": result.accuracy, "unseen": result.unseen}
        for name, result in results.items()
    }
    numbers = {
        name: {"seconds": r.seconds, "accuracy": r.accuracy, "unseen": r.unseen, "by_kind": r.by_kind}
        for name, r in results.items()
    }
    return numbers, plots.by_kind(scores)


# -- 6. detail against budget -----------------------------------------------------------------------------


class PooledMLP(nn.Module):
    """Neighbouring patch tokens averaged down to a few, each then put through two linear maps.

    Every bridge of this experiment has the same parameters: only how many tokens there are differs.

    Args:
        world: for the widths and the grid.
        tokens: visual tokens of one picture, a square number whose root divides the grid.

    Shapes:
        visual   float[b 36 128]
        returns  float[b tokens 128]
    """

    def __init__(self, world: MicroWorld, tokens: int) -> None:
        super().__init__()
        self.side, self.grid = math.isqrt(tokens), world.grid[0]
        if self.side**2 != tokens or self.grid % self.side:
            raise CourseError(
                f"{self.grid} x {self.grid} patches cannot be averaged to {tokens} tokens; choose one of "
                f"{', '.join(map(str, TILE_TOKENS))}."
            )
        wide = 4 * world.d_visual
        self.maps = nn.Sequential(nn.Linear(world.d_visual, wide), nn.GELU(), nn.Linear(wide, world.d_text))

    def forward(self, visual: Float[Tensor, "b v d"]) -> Float[Tensor, "b n d_text"]:
        along = {"y": self.side, "x": self.side, "i": self.grid // self.side, "j": self.grid // self.side}
        pooled: Tensor = self.maps(reduce(visual, "b (y i x j) d -> b (y x) d", "mean", **along))
        return pooled


def read_through(tokens: int, steps: int = 400, seed: int = 0) -> Result:
    """One bridge of so many visual tokens, in a world where digits are written by hand."""
    world = MicroWorld.load(digits=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bridge = PooledMLP(world, tokens)
    return train_bridge(
        bridge,
        steps=steps,
        seed=seed,
        merge=1,
        kinds=(*READING, "digit"),  # twice as often as any other
        world=world,
        name=f"{tokens} token{'s' * (tokens > 1)}",
        progress=False,
    )


def reading_against_tokens(
    steps: int = 400, seeds: Sequence[int] = (0,), tokens: Sequence[int] = TILE_TOKENS
) -> tuple[Numbers, Exhibit]:
    """What fewer visual tokens cost: shapes and handwriting most, colours least.

    Most is read through nine tokens, one for each cell, and not through all 36: this language model has met
    a whole thing in one token, never one spread over four.

    A picture is a tile of a page; a page of four takes four times the tokens.

    Args:
        steps: of each bridge; about 40 s each at 400.
        seeds: of the bridges; the figure shows means.
        tokens: how many for one tile, in the order of training.
    """
    results = {count: [read_through(count, steps, seed) for seed in seeds] for count in tokens}
    by_kind = {
        kind: {n: sum(r.by_kind[kind] for r in rs) / len(rs) for n, rs in results.items()} for kind in READING
    }
    shuffled = {n: sum(r.shuffled for r in rs) / len(rs) for n, rs in results.items()}
    shown = {kind: sorted(by_kind[kind].items()) for kind in ("digit", "shape", "where", "colour")}
    figure = plots.learning_curves(shown, xlabel="visual tokens for one tile", log=True)
    return {"by_kind": by_kind, "shuffled": shuffled, "tokens_of_a_page": {n: 4 * n for n in tokens}}, figure


# -- 7 and 8. inside a trained model ----------------------------------------------------------------------


def where_it_looks(model: SeeingModel, n_scenes: int = 200) -> tuple[Numbers, Exhibit]:
    """Which head of the frozen language model looks at the thing it is asked about; chance is one in nine.

    Layers and heads are counted from 1, as in the notebooks.

    Args:
        model: trained, with one visual token for each cell or patch.
        n_scenes: test scenes.
    """
    shares = pointing_game(model, n_scenes)
    layer, head = divmod(int(shares.argmax()), shares.shape[1])
    numbers = {"layer": layer + 1, "head": head + 1, "share": shares.max().item(), "shares": shares.tolist()}
    rows = [f"layer {n + 1}" for n in range(shares.shape[0])]
    columns = [f"head {n + 1}" for n in range(shares.shape[1])]
    return numbers, plots.matrix(shares.numpy(), rows, columns, title="looks at the thing asked about")


def gates_opening(result: Result) -> tuple[Numbers, Exhibit]:
    """|tanh alpha| of each gated block over training. The sign of alpha is arbitrary, so it is left out.

    Args:
        result: of a bridge with `entrance="layers"` whose blocks have an `alpha`.
    """
    steps = [step for step, _ in result.gates]
    curves = {
        f"before layer {n + 1}": list(zip(steps, (gates[n] for _, gates in result.gates), strict=True))
        for n in range(len(result.gates[0][1]))
    }
    last = {name: curve[-1][1] for name, curve in curves.items()}
    return {"last": last}, plots.learning_curves(curves, ylabel="|tanh alpha|")
