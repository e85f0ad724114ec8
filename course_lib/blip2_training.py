"""Train a Q-Former as BLIP-2 does: first with captions, then as a prefix of a frozen language model.

    parts = Parts(QFormerLayer, qformer_mask, itc_loss, sample_negatives, itm_loss, itg_loss)
    first = train_stage1(parts, world=world)
    first.scores                          what it can do on new scenes
    bridge = QueryPrefix(first.model.query_tokens, first.model.qformer, world.d_text)
    train_bridge(bridge, learning_rate=LEARNING_RATE, world=world)

The layer, the mask and the losses are yours; what stands here is the housing around them. The eyes in front
(`course_lib.seeing.Eyes`) do not train in stage 1, so that stage 2 begins with the eyes it left off with.

Axes in this file:
    b  pictures, pairs    v  visual tokens    q  queries    t  words of a caption    s  queries, then words
    c  facts about a picture    k  texts
    d  width of the Q-Former    e  width in which pictures and texts are compared    w  words in all

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597, section 3.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.errors import CourseError, ShapeError
from course_lib.microworld import (
    COLOURS,
    GRID,
    SHAPES,
    SIZES,
    Question,
    Scene,
    Thing,
    Vocabulary,
    draw_questions,
)
from course_lib.microworld.draws import Draws, key
from course_lib.microworld.scenes import COLUMNS, ROWS
from course_lib.microworld.sentences import caption
from course_lib.post_norm import EPSILON, Hidden
from course_lib.seeing import Eyes, SeeingModel, Trainee
from course_lib.training import Stepper
from course_lib.world import MicroWorld

TASKS = ("contrast", "match", "write")
PROPERTIES = ("colour", "shape", "size", "place")
PAIRS = 48  # of one training step
LEARNING_RATE = 5e-4  # norms come after the maps, so half of what a projector stands; Muon's is ten times it
TEMPERATURE = 0.07  # fixed here; the published code learns it
SPREAD = 0.1  # standard deviation of queries and words at the start
LONGEST_CAPTION = 29  # <start>, four things of six words, three times "and", <end>


@dataclass(frozen=True)
class Parts:
    """What you wrote: a layer's class, the mask, and the four functions of stage 1."""

    layer: Callable[..., nn.Module]
    mask: Callable[[str, int, Tensor], Tensor]
    itc_loss: Callable[..., Tensor]
    sample_negatives: Callable[[Tensor], tuple[Tensor, Tensor]]
    itm_loss: Callable[..., Tensor]
    itg_loss: Callable[..., Tensor]


@dataclass(frozen=True)
class Sizes:
    """Of a small Q-Former; a layer that looks at the picture comes every `cross_every`."""

    n_queries: int = 12
    d_model: int = 96
    n_layers: int = 4
    n_heads: int = 4
    d_hidden: int = 192
    cross_every: int = 2
    d_shared: int = 64


class Stack(nn.Module):
    """A norm, then layers of yours: the form in which a Q-Former goes from one stage to the next.

    Shapes:
        tokens       float[b s d]   queries, then text
        sees         bool[b s s]    True where token i may see token j; None lets everything see all
        visual       float[b v d_visual]
        visual_mask  bool[b v]      True = keep; None means all are kept
        returns      float[b s d]
    """

    def __init__(self, layer: Callable[..., nn.Module], sizes: Sizes, d_visual: int) -> None:
        super().__init__()
        self.text = True
        self.layernorm = nn.LayerNorm(sizes.d_model, eps=EPSILON)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(
            layer(
                sizes.d_model,
                d_visual,
                sizes.n_heads,
                sizes.d_hidden,
                looks=n % sizes.cross_every == 0,
                dropout=0.0,
            )
            for n in range(sizes.n_layers)
        )

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        n_queries: int,
        sees: Bool[Tensor, "b s s"] | None = None,
        visual: Float[Tensor, "b v d_visual"] | None = None,
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        hidden: Tensor = self.layernorm(tokens)
        for layer in self.encoder.get_submodule("layer").children():
            if not self.text and not hasattr(layer, "intermediate"):
                # Stage 2 has deleted the text side, and your layer may still call it with no text at all.
                layer.add_module("intermediate", nn.Identity())
                layer.add_module("output", _Nothing())
            hidden = layer(hidden, n_queries, sees, visual, visual_mask)
        return hidden


class _Nothing(nn.Module):
    """In the place of a text side that is gone: called as add and norm is, for no text, and returns it."""

    def forward(self, new: Float[Tensor, "b 0 d"], old: Float[Tensor, "b 0 d"]) -> Float[Tensor, "b 0 d"]:
        return old


class FirstStage(Trainee):
    """Eyes, queries, words, a Q-Former and three heads; nothing of it is a language model.

    Args:
        parts: of which the layer and the mask are used here.
        world: the frozen encoder's sizes and the words.
        sizes: of the Q-Former.
        merge: neighbouring patches put side by side in each direction.
    """

    def __init__(self, parts: Parts, world: MicroWorld, sizes: Sizes, merge: int = 2) -> None:
        super().__init__()
        d, n_words = sizes.d_model, len(world.vocabulary) + 1
        self.parts = parts
        self.write_id = n_words - 1  # [DEC]: one more word
        self.eyes = Eyes(world.grid, world.d_visual, merge).requires_grad_(False)
        self.query_tokens = nn.Parameter(SPREAD * torch.randn(1, sizes.n_queries, d))
        self.words = nn.Parameter(SPREAD * torch.randn(n_words, d))
        self.places = nn.Parameter(SPREAD * torch.randn(LONGEST_CAPTION, d))
        self.qformer = Stack(parts.layer, sizes, merge * merge * world.d_visual)
        self.picture_map, self.text_map = nn.Linear(d, sizes.d_shared), nn.Linear(d, sizes.d_shared)
        self.match_head = nn.Linear(d, 2)
        self.write_hidden, self.write_norm = Hidden(d, d), nn.LayerNorm(d, eps=EPSILON)
        self.write_bias = nn.Parameter(torch.zeros(n_words))

    @property
    def frozen(self) -> nn.Module:
        """The eyes: stage 2 begins with them as they are."""
        return self.eyes

    def read(
        self,
        task: str,
        visual: Float[Tensor, "b v d_visual"],
        ids: Int[Tensor, "b t"],
        keep: Bool[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b t d"]]:
        """What the queries and what the words have become, under the mask of one task."""
        n_queries = self.query_tokens.shape[1]
        queries = self.query_tokens.expand(len(visual), -1, -1)
        text = self.words[ids] + self.places[: ids.shape[1]]
        both = self.qformer(
            torch.cat([queries, text], dim=1), n_queries, self.parts.mask(task, n_queries, keep), visual
        )
        return both[:, :n_queries], both[:, n_queries:]

    def compared(
        self, visual: Float[Tensor, "b v d_visual"], ids: Int[Tensor, "b t"], keep: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b q e"], Float[Tensor, "b e"]]:
        """Each query of a picture and the first word of a text, where the two are compared."""
        queries, text = self.read("contrast", visual, ids, keep)
        return self.picture_map(queries), self.text_map(text[:, 0])

    def match_logits(
        self, visual: Float[Tensor, "b v d_visual"], ids: Int[Tensor, "b t"], keep: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b 2"]:
        """(does not match, matches)."""
        logits: Tensor = self.match_head(self.read("match", visual, ids, keep)[0])
        return logits.mean(dim=1)

    def writing_logits(
        self, visual: Float[Tensor, "b v d_visual"], ids: Int[Tensor, "b t"], keep: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """Logits of the word after each word; the first is [DEC]."""
        text = self.read("write", visual, ids, keep)[1]
        return F.linear(self.write_norm(self.write_hidden(text)), self.words, self.write_bias)

    def alike(self, pictures: Float[Tensor, "b q e"], texts: Float[Tensor, "k e"]) -> Float[Tensor, "b k"]:
        """The highest cosine that a query of a picture has with a text."""
        each = F.cosine_similarity(pictures[:, :, None], texts[None, None], dim=-1)
        return each.amax(dim=1)


@dataclass(frozen=True)
class Captions:
    """Captions as rows of ids: `<start>` stands for [CLS], `<end>` ends a text, `<pad>` fills up."""

    ids: Int[Tensor, "b t"]
    keep: Bool[Tensor, "b t"]  # True where a word is real

    @classmethod
    def of(cls, texts: Sequence[str], vocabulary: Vocabulary) -> "Captions":
        """One row a text, as wide as the longest."""
        whole = [f"<start> {text} <end>" for text in texts]
        ids = torch.tensor(vocabulary.rows(whole, max(len(text.split()) for text in whole)))
        return cls(ids, ids != vocabulary.pad_id)


def stage1_losses(
    model: FirstStage,
    visual: Float[Tensor, "b v d_visual"],
    captions: Captions,
    tasks: Sequence[str] = TASKS,
) -> dict[str, Float[Tensor, ""]]:
    """The loss of each task on the same pairs; wrong pairs are drawn by what contrast finds alike."""
    parts, ids, keep = model.parts, captions.ids, captions.keep
    losses = {}
    pictures, texts = model.compared(visual, ids, keep)
    if "contrast" in tasks:
        losses["contrast"] = parts.itc_loss(pictures, texts, TEMPERATURE)
    if "match" in tasks:
        wrong = parts.sample_negatives(model.alike(pictures, texts).detach() / TEMPERATURE)
        losses["match"] = parts.itm_loss(model.match_logits, visual, ids, keep, *wrong)
    if "write" in tasks:
        losses["write"] = parts.itg_loss(model.writing_logits, visual, ids, keep, model.write_id)
    return losses


@dataclass(frozen=True)
class Scores:
    """What stage 1 can do on new scenes, each layout counted once.

    `texts_found`: share of pictures that find their own caption among all; `pictures_found`: the reverse.
    `matched`: share of pairs judged rightly, half of them with a single property of one thing changed; chance
    is .5. `matched_by`: the same, by the property that was changed. `written`: share of pictures whose
    caption, written word by word, names every thing with every property and nothing else; `things_written`:
    share of things in them. `n` pictures in all.
    """

    texts_found: float
    pictures_found: float
    matched: float
    matched_by: dict[str, float]
    written: float
    things_written: float
    n: int


@dataclass
class FirstResult:
    """What stage 1 gave. `seconds` is training alone; `losses` has one row a step."""

    seed: int
    steps: int
    seconds: float
    scores: Scores
    losses: list[dict[str, float]] = field(repr=False)
    model: FirstStage = field(repr=False)


def train_stage1(
    parts: Parts,
    *,
    world: MicroWorld,
    steps: int = 200,
    seed: int = 0,
    sizes: Sizes | None = None,
    tasks: Sequence[str] = TASKS,
    learning_rate: float = LEARNING_RATE,
    progress: bool = True,
) -> FirstResult:
    """Train queries, words and Q-Former on pictures with captions, then test them on new scenes.

    Args:
        parts: yours.
        world: the frozen encoder's features of the training scenes; the language model is not used.
        steps: optimiser steps of 48 pairs, no two of the same layout. 200 take about 95 s on one core.
        seed: of the weights, the scenes, the order of things in a caption and the negatives.
        sizes: of the Q-Former.
        tasks: whose losses are added up: some of "contrast", "match", "write".
        learning_rate: peak of AdamW's rate; Muon's is ten times as high.
        progress: show a bar.

    Raises:
        CourseError: no task, or one that there is not.
    """
    if not tasks or set(tasks) - set(TASKS):
        raise CourseError(f"tasks are {tuple(tasks)}; give one or more of {', '.join(TASKS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for the weights, and for negatives that are drawn without a generator
        model = FirstStage(parts, world, sizes or Sizes())
        stepper = Stepper(model, learning_rate, steps)
        order = torch.Generator().manual_seed(seed)
        scenes, layouts = world.train.scenes, _layouts(world.train.scenes)
        with torch.no_grad():
            visual = model.eyes(world.train.features)
        losses: list[dict[str, float]] = []
        began = time.perf_counter()
        with tqdm(total=steps, disable=not progress, desc="stage 1") as bar:
            for step in range(1, steps + 1):
                picked = _distinct(layouts, PAIRS, order)
                texts = [caption(scenes[index], key(seed, step)) for index in picked]
                found = stage1_losses(model, visual[picked], Captions.of(texts, world.vocabulary), tasks)
                stepper.step(torch.stack(list(found.values())).sum())
                losses.append({task: loss.item() for task, loss in found.items()})
                bar.set_postfix({task: f"{loss:.2f}" for task, loss in losses[-1].items()})
                bar.update()
        seconds = time.perf_counter() - began
    model.eval()
    return FirstResult(seed, steps, round(seconds, 1), measured_stage1(model, world), losses, model)


@torch.no_grad()
def measured_stage1(model: FirstStage, world: MicroWorld, n_written: int = 100) -> Scores:
    """Test on new scenes; captions are written for the first `n_written` layouts only, as that is slow."""
    album = world.new
    firsts = first_of_each(album.scenes)
    scenes = [album.scenes[index] for index in firsts]
    visual = model.eyes(album.features[firsts])
    captions = Captions.of([caption(scene) for scene in scenes], world.vocabulary)
    pictures, texts = model.compared(visual, captions.ids, captions.keep)
    alike, own = model.alike(pictures, texts), torch.arange(len(scenes))
    by = _matched(model, visual, scenes, captions, world.vocabulary)
    written = write_captions(model, visual[:n_written], world.vocabulary)
    wanted = [set(caption(scene).split(" and ")) for scene in scenes[:n_written]]
    said = [set(text.split(" and ")) for text in written]
    return Scores(
        texts_found=(alike.argmax(1) == own).float().mean().item(),
        pictures_found=(alike.argmax(0) == own).float().mean().item(),
        matched=sum(by.values()) / len(by),
        matched_by=by,
        written=sum(a == b for a, b in zip(said, wanted, strict=True)) / len(wanted),
        things_written=sum(len(a & b) for a, b in zip(said, wanted, strict=True)) / sum(map(len, wanted)),
        n=len(scenes),
    )


def _matched(
    model: FirstStage,
    visual: Float[Tensor, "b v d_visual"],
    scenes: list[Scene],
    captions: Captions,
    vocabulary: Vocabulary,
) -> dict[str, float]:
    matches = model.match_logits(visual, captions.ids, captions.keep).argmax(-1) == 1
    found = {}
    for name in PROPERTIES:
        wrong = Captions.of([caption(one_property_changed(scene, name)) for scene in scenes], vocabulary)
        differs = model.match_logits(visual, wrong.ids, wrong.keep).argmax(-1) == 0
        found[name] = (matches.float().mean().item() + differs.float().mean().item()) / 2
    return found


def one_property_changed(scene: Scene, name: str) -> Scene:
    """The scene with another colour, shape, size or place of one thing; the rest is as it was."""
    draws = Draws("one property", name, scene.seed)
    number = draws.below(len(scene.things))
    thing = scene.things[number]
    changed: Thing
    if name == "place":
        taken = {one.cell for one in scene.things}
        cell = draws.choose([cell for cell in range(GRID * GRID) if cell not in taken])
        changed = replace(thing, row=cell // GRID, column=cell % GRID)
    elif name in PROPERTIES:
        values = {"colour": COLOURS, "shape": SHAPES, "size": SIZES}[name]
        value = draws.choose([value for value in values if value != getattr(thing, name)])
        properties: dict[str, Any] = {name: value}
        changed = replace(thing, **properties)
    else:
        raise CourseError(f"there is no property {name!r}; choose one of {', '.join(PROPERTIES)}.")
    things: tuple[Thing, ...] = (*scene.things[:number], changed, *scene.things[number + 1 :])
    return replace(scene, things=things)


@torch.no_grad()
def write_captions(
    model: FirstStage, visual: Float[Tensor, "b v d_visual"], vocabulary: Vocabulary
) -> list[str]:
    """A caption for each picture, word by word, always the likeliest, until `<end>`."""
    ids = torch.full((len(visual), 1), model.write_id)
    ended = torch.zeros(len(visual), dtype=torch.bool)
    while ids.shape[1] < LONGEST_CAPTION and not ended.all():
        logits = model.writing_logits(visual, ids, torch.ones_like(ids, dtype=torch.bool))[:, -1]
        best = logits[:, : model.write_id].argmax(-1)  # [DEC] is no word to be written
        ids = torch.cat([ids, rearrange(best, "b -> b 1")], dim=1)
        ended |= best == vocabulary.end_id
    texts = [vocabulary.decode(row[1:]) for row in ids.tolist()]
    return [text.split("<end>")[0].strip() for text in texts]


def _layouts(scenes: Sequence[Scene]) -> list[frozenset[Thing]]:
    return [frozenset(scene.things) for scene in scenes]


def _distinct(layouts: list[frozenset[Thing]], count: int, order: torch.Generator) -> list[int]:
    """Numbers of so many scenes, no two alike: a wrong text that happens to be right teaches nothing."""
    picked: dict[frozenset[Thing], int] = {}
    while len(picked) < count:
        index = int(torch.randint(len(layouts), (), generator=order))
        picked.setdefault(layouts[index], index)
    return list(picked.values())


def first_of_each(scenes: Sequence[Scene]) -> list[int]:
    """Numbers of the scenes whose layout has not come before: one in four of ours is a repetition."""
    layouts = _layouts(scenes)
    return [index for index, layout in enumerate(layouts) if layout not in layouts[:index]]


# -- what the queries tell ---------------------------------------------------------------------------------


def what_is_there(scenes: Sequence[Scene]) -> tuple[list[str], Float[Tensor, "b c"]]:
    """Names of places, colours, shapes and sizes, and for each picture 1 where it holds something such."""
    places = [f"{row} {column}" for row in ROWS for column in COLUMNS]
    names = [*places, *COLOURS, *SHAPES, *SIZES]
    held = [
        {value for one in scene.things for value in (one.place, one.colour, one.shape, one.size)}
        for scene in scenes
    ]
    return names, torch.tensor([[float(name in one) for name in names] for one in held])


def told(read: Float[Tensor, "read q d"], there: Float[Tensor, "b c"]) -> Float[Tensor, "q c"]:
    """How much of a query's variance over pictures is explained by whether a thing is there or not: 0 to 1.

    Raises:
        ShapeError: another number of pictures than of rows, or something that is always or never there.
    """
    share = there.mean(dim=0)
    if len(read) != len(there) or not ((share > 0) & (share < 1)).all():
        raise ShapeError(
            f"{len(read)} pictures were read and {len(there)} rows say what is there; give as many of each, "
            "and only what is in some pictures and not in others."
        )
    off = read - read.mean(dim=0)
    signs = (there - share) / (share * (1 - share)).sqrt()
    together = einsum(off, signs, "b q d, b c -> q c d") / len(read)
    return together.pow(2).sum(dim=-1) / off.pow(2).sum(dim=-1).mean(dim=0)[:, None]


def told_by_chance(
    read: Float[Tensor, "b q d"], there: Float[Tensor, "b c"], draws: int = 100, seed: int = 0
) -> Float[Tensor, "draws q c"]:
    """`told`, as often as you like, with the pictures' labels dealt out anew: what chance alone explains."""
    order = torch.Generator().manual_seed(seed)
    return torch.stack([told(read, there[torch.randperm(len(there), generator=order)]) for _ in range(draws)])


def what_each_cell_holds(scenes: Sequence[Scene]) -> Float[Tensor, "b cells facts"]:
    """For each cell of each picture 1 for the colour, the shape and the size of what stands there; or 0s."""
    values: tuple[str, ...] = (*COLOURS, *SHAPES, *SIZES)
    held = torch.zeros(len(scenes), GRID * GRID, len(values))
    for number, scene in enumerate(scenes):
        for thing in scene.things:
            marks = [values.index(value) for value in (thing.colour, thing.shape, thing.size)]
            held[number, thing.row * GRID + thing.column, marks] = 1.0
    return held


def told_of_content(
    read: Float[Tensor, "read q d"], held: Float[Tensor, "b cells facts"], parts: int = 5, seed: int = 0
) -> Float[Tensor, "q cells"]:
    """How much of a query's variance over pictures the whole content of one cell explains, linearly: up to 1.

    A ridge regression from what the cell holds to what the query hands over, fitted on four fifths of the
    pictures and measured on the last, in turn. Measured so, it may come out below 0: worse than the mean.

    Raises:
        ShapeError: another number of pictures than of rows, or too few to be parted.
    """
    if len(read) != len(held) or len(read) < 2 * parts:
        raise ShapeError(
            f"{len(read)} pictures were read and {len(held)} rows say what they hold; give as many of each, "
            f"and at least {2 * parts}."
        )
    shuffled = torch.randperm(len(read), generator=torch.Generator().manual_seed(seed))
    wanted, given = read.double(), F.pad(held.double(), (0, 1), value=1.0)
    left, all_of_it = torch.zeros(2, read.shape[1], held.shape[1], dtype=torch.float64)
    small = torch.eye(given.shape[2], dtype=torch.float64)
    for away in shuffled.chunk(parts):
        rest = torch.ones(len(read), dtype=torch.bool)
        rest[away] = False
        flat = wanted.flatten(1)
        for cell in range(held.shape[1]):
            x = given[rest, cell]
            fit = torch.linalg.solve(x.mT @ x + small, x.mT @ flat[rest])
            missed = (given[away, cell] @ fit - flat[away]).unflatten(1, read.shape[1:])
            left[:, cell] += missed.pow(2).sum(dim=(0, 2))
            plain = wanted[away] - wanted[rest].mean(dim=0)
            all_of_it[:, cell] += plain.pow(2).sum(dim=(0, 2))
    return (1 - left / all_of_it).float()


@contextmanager
def looks_watched(qformer: nn.Module) -> Iterator[dict[int, Float[Tensor, "b h q v"]]]:
    """Inside the `with`, each layer that reads the picture leaves its attention in the dict, by number."""
    seen: dict[int, Tensor] = {}
    handles = []

    def keep_as(number: int) -> Callable[[nn.Module, Any, Any], None]:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            parts = module.get_submodule("attention")
            cut = "b s (h e) -> b h s e"
            q = rearrange(parts.get_submodule("query")(args[0]), cut, h=module.n_heads)
            k = rearrange(parts.get_submodule("key")(args[1]), cut, h=module.n_heads)
            seen[number] = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1).detach()

        return keep

    for number, layer in enumerate(qformer.get_submodule("encoder.layer").children()):
        if hasattr(layer, "crossattention"):
            handles.append(layer.get_submodule("crossattention").register_forward_hook(keep_as(number)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


# -- examples in the prompt --------------------------------------------------------------------------------


@torch.no_grad()
def with_examples(
    model: SeeingModel,
    shots: int,
    *,
    pictures: str = "own",
    texts: bool = True,
    count: int = 200,
    seed: int = 0,
) -> float:
    """Share of right answers when so many examples, each a picture, a question and its answer, come first.

    An example asks for the same kind of thing as the question. The question's own picture comes last.

    Args:
        model: a trained seeing model, by the entrance "prefix".
        shots: examples in front; with 0 the question stands alone, as in training.
        pictures: "own" pictures of the examples; "asked": the question's picture in their place; or "none":
            the examples are text alone.
        texts: False leaves the examples' questions and answers out.
        count: new scenes, one question each.
        seed: of the questions.

    Raises:
        CourseError: no such choice of pictures.
    """
    if pictures not in ("own", "asked", "none"):
        raise CourseError(f'there is no choice of pictures {pictures!r}; choose "own", "asked" or "none".')
    model.eval()
    world, right = model.world, 0
    words, vocabulary = world.language_model.model.embed_tokens, world.vocabulary
    scenes = world.new.scenes[:count]
    for number, scene in enumerate(scenes):
        (asked,) = draw_questions(scene, 1, key("examples", seed), pairs="seen")
        row = []
        for shot in range(shots):
            index, shown = _example(world, asked.kind, key("examples", seed, number, shot))
            if pictures == "own":
                row.append(model.prefix(world.train.features[index : index + 1], 1)[0])
            elif pictures == "asked":
                row.append(model.prefix(world.new.features[number : number + 1], 1)[0])
            if texts:
                row.append(words(torch.tensor(vocabulary.encode(f"{shown.text} {shown.answer} <end>"))))
        answer = torch.tensor(vocabulary.encode(f"{asked.answer} <end>"))
        row.append(model.prefix(world.new.features[number : number + 1], 1)[0])
        row.append(words(torch.tensor(vocabulary.encode(f"{asked.text} {asked.answer}"))))
        stream = torch.cat(row)[None]
        keep, positions = torch.ones(stream.shape[:2], dtype=torch.bool), torch.arange(stream.shape[1])
        logits = world.language_model(stream, keep, positions[None])[0, -len(answer) :]
        right += int((logits.argmax(dim=-1) == answer).all())
    return right / len(scenes)


def _example(world: MicroWorld, kind: str, seed: int) -> tuple[int, Question]:
    """A training scene, by its number, of which this kind of question can be asked, and the question."""
    draws = Draws("example", seed)
    while True:
        index = draws.below(len(world.train.scenes))
        try:
            (shown,) = draw_questions(world.train.scenes[index], 1, seed, pairs="seen", kinds=(kind,))
        except CourseError:  # this scene has no such thing
            continue
        return index, shown
