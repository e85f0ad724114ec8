"""Week 3's experiments: the same small Flamingo, trained again and again with one thing changed.

Each takes `build`, which makes an `InterleavedModel` of a learner's parts from `seed` and perhaps `mask`,
`n_latents` and `merge`, and returns numbers and an exhibit. All run for a fixed number of steps with fixed
seeds. Pictures and questions of a seed are the same in every arm of an experiment.

Axes in this file:
    b  rows    n  pictures of a row    v  patch tokens    d  their width    a  answers of a row
    t  tokens of a row

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, sections 3.3 (ablations) and A.1.2 (gates).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib import plots
from course_lib.exhibits import PALETTE, Exhibit, Table, exhibit
from course_lib.few_shot import GALLERIES_FIRST, GALLERY_PICTURES, ThingPictures, episodes
from course_lib.interleaved import InterleavedModel, Piece, Rows, lay_out, right_answers, row_loss
from course_lib.microworld import Scene, caption, draw_questions, render_many
from course_lib.microworld.draws import Draws, key
from course_lib.microworld.episodes import Episode, draw_episode
from course_lib.training import Stepper
from course_lib.world import Album, MicroWorld

Build = Callable[..., InterleavedModel]
Numbers = dict[str, Any]
Batch = tuple[Rows, Float[Tensor, "b n v d"]]

PICTURES, QUESTIONS = 8, 8  # of one training step
ROWS, EPISODES = 12, 16  # of one training step, where a row has several pictures
RATE = 1e-3  # that of every other bridge by the layers
GATES = ("alpha_cross_attn", "alpha_dense")
KINDS_OF_ONE = ("colour", "shape")  # what is asked of a picture with one thing


def train(
    model: InterleavedModel, batches: Callable[[int], Batch], steps: int, rate: float, bar: Any
) -> None:
    """One step on each batch; `batches` is called with the step, from 0."""
    stepper = Stepper(model, rate, steps)
    model.train()
    for step in range(steps):
        rows, features = batches(step)
        stepper.step(row_loss(model(rows, features), rows))
        bar.update()


@torch.no_grad()
def measure(model: InterleavedModel, batch: Batch) -> list[float]:
    """Share of right answers, for each answer of a row."""
    rows, features = batch
    parts = torch.split(torch.arange(len(rows.ids)), 100)
    right = torch.cat([right_answers(model(rows.rows(p), features[p]), rows.rows(p)) for p in parts])
    found: list[float] = right.float().mean(dim=0).tolist()
    return found


# -- questions about one picture -------------------------------------------------------------------------


def asked(
    world: MicroWorld,
    scenes: Sequence[Scene],
    seed: int,
    count: int = QUESTIONS,
    beginning: Callable[[Scene], str] = lambda scene: "<image>",
) -> Rows:
    """A row a scene: a beginning, then questions that do not see each other, answers learned."""
    rows: list[tuple[list[Piece], list[list[Piece]]]] = []
    for scene in scenes:
        questions = draw_questions(scene, count, seed, pairs="seen")
        asides = [[(q.text, False), (f"{q.answer} <end>", True)] for q in questions]
        rows.append(([(beginning(scene), False)], asides))
    return lay_out(rows, world.vocabulary)


def lesson(world: MicroWorld, seed: int, step: int, count: int = QUESTIONS, shuffled: bool = False) -> Batch:
    """Training pictures with questions; shuffled, each question meets the next row's picture."""
    draws = Draws("lesson", seed, step)
    picked = [draws.below(len(world.train.scenes)) for _ in range(PICTURES)]
    features = world.train.features[picked]
    rows = asked(world, [world.train.scenes[index] for index in picked], draws.word(), count)
    return rows, (features.roll(1, dims=0) if shuffled else features)[:, None]


def exam(album: Album, world: MicroWorld, shuffled: bool = False, n_scenes: int = 200) -> Batch:
    """New pictures with four questions each; shuffled, with the picture of a scene far away."""
    scenes, features = album.scenes[:n_scenes], album.features[:n_scenes]
    features = features.roll(len(scenes) // 2, dims=0) if shuffled else features
    return asked(world, scenes, key("exam"), 4), features[:, None]


def gate_values(model: InterleavedModel) -> Float[np.ndarray, "gates layers"]:
    """tanh(alpha) of both gates of each block: first the attentions', then the feed-forwards'."""
    return np.array(
        [[float(getattr(block, name).detach().tanh().mean()) for block in model.gated] for name in GATES]
    )


def gates_opening(
    build: Build,
    world: MicroWorld,
    steps: int = 80,
    seeds: Sequence[int] = (0, 1, 2),
    rates: Sequence[float] = (RATE, RATE / 3),
    progress: bool = True,
) -> tuple[Numbers, Exhibit]:
    """How far each gate is open while a model learns, at two rates, and while it has nothing to see.

    The control is trained on shuffled pictures: every question meets another scene's picture.
    """
    arms = [(f"rate {rate:.2g}", rate, False) for rate in rates]
    arms.append((f"shuffled pictures, rate {rates[0]:.2g}", rates[0], True))
    every = -(-steps // 8)
    courses: dict[str, list[np.ndarray]] = {}
    rows: list[list[object]] = []
    with tqdm(total=len(arms) * len(seeds) * steps, disable=not progress, desc="gates") as bar:
        for (name, rate, shuffled), seed in product(arms, seeds):
            model = build(seed)
            course = [gate_values(model)]

            def batch(
                step: int,
                model: InterleavedModel = model,
                course: list[np.ndarray] = course,
                shuffled: bool = shuffled,
                seed: int = seed,
            ) -> Batch:
                if step and step % every == 0:
                    course.append(gate_values(model))
                return lesson(world, seed, step, QUESTIONS // 2, shuffled)

            train(model, batch, steps, rate, bar)
            course.append(gate_values(model))
            courses.setdefault(name, []).append(np.stack(course))
            own, other = (float(np.mean(measure(model, exam(world.new, world, s)))) for s in (False, True))
            rows.append([name, seed, own, other, *(f"{value:+.2f}" for value in course[-1].ravel())])
    places = [
        f"{which} {layer}" for which, layer in product(("attention", "feed-forward"), layers_of(courses))
    ]
    table = Table(["", "seed", "own picture", "another's", *places], rows)
    numbers: Numbers = {
        name: {
            "own": [row[2] for row in rows if row[0] == name],
            "other": [row[3] for row in rows if row[0] == name],
            "gates": np.stack([course[-1] for course in runs]),
        }
        for name, runs in courses.items()
    }
    marks = [*range(0, steps, every), steps]
    return numbers, _gate_figure(courses, marks, table)


def layers_of(courses: Mapping[str, list[np.ndarray]]) -> range:
    """The numbers of the blocks."""
    return range(next(iter(courses.values()))[0].shape[2])


def _gate_figure(courses: Mapping[str, list[np.ndarray]], marks: list[int], table: Table) -> Exhibit:
    blocks = layers_of(courses)
    figure = Figure(figsize=(2.3 * len(blocks), 4.6))
    grid = figure.subplots(2, len(blocks), sharex=True, sharey=True, squeeze=False)
    for (gate, block), (k, (name, runs)) in product(product(range(2), blocks), enumerate(courses.items())):
        axes = grid[gate][block]
        for number, course in enumerate(runs):
            label = name if number == gate == block == 0 else None
            style = ("-", "--", ":")[k % 3]
            axes.plot(marks, np.abs(course[:, gate, block]), style, color=PALETTE[k], lw=1.2, label=label)
        axes.grid(axis="y", alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if gate == 0:
            axes.set_title(f"before layer {block}", fontsize=9)
        else:
            axes.set_xlabel("training steps", fontsize=8)
    grid[0][0].set_ylabel("|tanh α|, attention", fontsize=8)
    grid[1][0].set_ylabel("|tanh α|, feed-forward", fontsize=8)
    figure.legend(
        loc="lower center", bbox_to_anchor=(0.5, -0.06), ncols=len(courses), frameon=False, fontsize=8
    )
    said = []
    for name, runs in courses.items():
        last = np.abs(np.stack([course[-1] for course in runs]))
        attention, dense = (", ".join(f"{v:.2f}" for v in last.mean(0)[gate]) for gate in range(2))
        said.append(f"{name}: attention {attention}, feed-forward {dense}")
    alt = (
        f"Eight small charts of |tanh alpha| over {marks[-1]} steps, one line a seed; at the end, mean of "
        f"{len(next(iter(courses.values())))} seeds, by layer: {'; '.join(said)}."
    )
    return exhibit(figure, alt.replace("Eight", str(2 * len(blocks))), table)


def closed_and_open(
    build: Build,
    world: MicroWorld,
    steps: int = 40,
    seeds: Sequence[int] = (0, 1),
    starts: Sequence[float] = (0.0, 0.1, 1.0),
    progress: bool = True,
) -> tuple[Numbers, Exhibit]:
    """What becomes of reading while a model learns to see, from closed and from open gates.

    Measured is a skill that the language model brought along: to answer questions about a caption. The
    picture is there, behind a tag before the caption. Trained are questions about pictures, no caption.
    """
    scenes, features = world.new.scenes[:40], world.new.features[:40, None]
    rows = asked(world, scenes, key("caption"), 4, lambda scene: f"<image> {caption(scene)}")
    every = -(-steps // 8)

    @torch.no_grad()
    def reading(model: InterleavedModel) -> float:
        return row_loss(model(rows, features), rows).item()

    curves: dict[str, list[tuple[int, float]]] = {}
    numbers: Numbers = {}
    lines: list[list[object]] = []
    with tqdm(total=len(starts) * len(seeds) * steps, disable=not progress, desc="starts") as bar:
        for start, seed in product(starts, seeds):
            model = build(seed)
            name = f"alpha = {start:g}, seed {seed}"
            with torch.no_grad():
                embeds = model.world.language_model.model.embed_tokens(rows.ids)
                alone = model.world.language_model(embeds, rows.sees, rows.positions)
            numbers["frozen"] = row_loss(alone, rows).item()
            for block, gate in product(model.gated, GATES):
                nn.init.constant_(getattr(block, gate), start)
            curve = curves.setdefault(name, [(0, reading(model))])

            def batch(
                step: int,
                model: InterleavedModel = model,
                curve: list[tuple[int, float]] = curve,
                seed: int = seed,
            ) -> Batch:
                if step and step % every == 0:
                    curve.append((step, reading(model)))
                return lesson(world, seed, step, QUESTIONS // 2)

            train(model, batch, steps, RATE, bar)
            curve.append((steps, reading(model)))
            seen = float(np.mean(measure(model, exam(world.new, world))))
            worst = max(loss for _, loss in curve)
            numbers[name] = {"first": curve[0][1], "worst": worst, "last": curve[-1][1], "seen": seen}
            lines.append([name, curve[0][1], worst, curve[-1][1], seen])
    curves["frozen, no blocks"] = [(0, numbers["frozen"]), (steps, numbers["frozen"])]
    shown = plots.learning_curves(curves, ylabel="loss on a caption's questions", ylog=True)
    said = "; ".join(f"{line[0]}: {line[1]:.3f}, {line[3]:.3f}" for line in lines)
    alt = (
        f"Lines: loss on a caption's questions, on a logarithmic axis, over {steps} training steps. At the "
        f"first and the last: {said}. The frozen model stays at {numbers['frozen']:.3f}."
    )
    header = ["gates at the start", "loss at step 0", "highest", "at the end", "new pictures, right"]
    return numbers, replace(shown, alt=alt, table=Table(header, lines))


def reading_latents(
    build: Build,
    world: MicroWorld,
    arms: Mapping[str, Mapping[str, int]],
    steps: int = 160,
    seeds: Sequence[int] = (0,),
    progress: bool = True,
) -> tuple[Numbers, Exhibit]:
    """How much a model sees, and what a step costs, when its blocks read patches or latents.

    Args:
        arms: names, each with what `build` is given besides the seed.
    """
    lines: list[list[object]] = []
    numbers: Numbers = {}
    points: dict[str, list[tuple[int, float]]] = {}
    with tqdm(total=len(arms) * len(seeds) * steps, disable=not progress, desc="latents") as bar:
        for (name, options), seed in product(arms.items(), seeds):
            model = build(seed, **options)
            began = time.process_time()
            train(model, lambda step, seed=seed: lesson(world, seed, step, 6), steps, RATE, bar)  # type: ignore[misc]
            cost = 1000 * (time.process_time() - began) / steps
            with torch.no_grad():
                keys = model.visual(world.new.features[:1, None]).shape[2]
            own, other = (float(np.mean(measure(model, exam(world.new, world, s)))) for s in (False, True))
            numbers.setdefault(name, []).append({"keys": keys, "own": own, "other": other, "ms": cost})
            lines.append([name, seed, keys, own, other, round(cost)])
            points.setdefault("patches" if model.resampler is None else "latents", []).append((keys, own))
    table = Table(["", "seed", "keys a picture", "own picture", "another's", "CPU ms a step"], lines)
    return numbers, replace(plots.against_tokens(points), table=table)


# -- several pictures in a row ---------------------------------------------------------------------------


def one_thing_each(world: MicroWorld, pictures: ThingPictures, draws: Draws, count: int, n: int) -> Batch:
    """Rows of n pictures of one thing, each followed by a question about it, its colour or its shape."""
    things = list(pictures.first)
    rows: list[tuple[list[Piece], list[list[Piece]]]] = []
    shown = [[draws.choose(things) for _ in range(n)] for _ in range(count)]
    for row in shown:
        beginning: list[Piece] = []
        for thing in row:
            kind = draws.choose(KINDS_OF_ONE)
            beginning.append((f"<image> what {kind} is the thing ?", False))
            beginning.append((f"{getattr(thing, kind)} <end>", True))
        rows.append((beginning, []))
    return lay_out(rows, world.vocabulary), pictures.of(shown, draws)


def which_picture(
    build: Build,
    world: MicroWorld,
    masks: Mapping[str, Callable[..., Tensor]],
    steps: int = 80,
    seeds: Sequence[int] = (0, 1),
    n: int = 3,
    progress: bool = True,
) -> tuple[Numbers, Exhibit]:
    """The same rows of three pictures, read through different media masks.

    Args:
        masks: names, each with a media mask; the first one's models are read through the others too.

    Returns:
        For each mask, right answers by seed and place; and under "before the second tag", how far the logits
        there move when a trained model is given another mask (the largest difference, by name); under
        "model", the one with the first mask and seed.
    """
    pictures = ThingPictures(world)
    test = one_thing_each(world, pictures, Draws("which picture", "exam"), 200, n)
    second = int((test[0].ids == world.vocabulary.image_id)[0].nonzero()[1])
    numbers: Numbers = {name: [] for name in masks}
    bars: dict[str, dict[str, float]] = {}
    moved: dict[str, float] = {}
    with tqdm(total=len(masks) * len(seeds) * steps, disable=not progress, desc="masks") as bar:
        for (name, mask), seed in product(masks.items(), seeds):
            model = build(seed, mask=mask)

            def batch(step: int, seed: int = seed) -> Batch:
                return one_thing_each(world, pictures, Draws("which picture", seed, step), ROWS, n)

            train(model, batch, steps, RATE, bar)
            numbers[name].append(measure(model, test))
            bars[f"{name}, seed {seed}"] = {
                f"picture {k + 1}": share for k, share in enumerate(numbers[name][-1])
            }
            if not moved:
                moved = _moved_by_mask(model, masks, test, second)
                numbers["model"] = model
    numbers["before the second tag"] = moved
    return numbers, plots.by_kind(bars, xlabel="picture that is asked about")


@torch.no_grad()
def _moved_by_mask(
    model: InterleavedModel, masks: Mapping[str, Callable[..., Tensor]], test: Batch, second: int
) -> dict[str, float]:
    own = model.media_mask
    rows, features = test[0].rows(torch.arange(50)), test[1][:50]
    clean, moved = model(rows, features)[:, :second], {}
    for name, mask in masks.items():
        model.media_mask = mask
        moved[name] = (model(rows, features)[:, :second] - clean).abs().max().item()
    model.media_mask = own
    return moved


# -- words from examples ---------------------------------------------------------------------------------


def gallery(world: MicroWorld, pictures: ThingPictures, draws: Draws, count: int) -> Batch:
    """Scenes taken apart, one picture a thing, tag after tag, then eight questions about all of them."""
    size = draws.choose(GALLERY_PICTURES)
    fitting = [scene for scene in world.train.scenes if len(scene.things) == size]
    scenes = [draws.choose(fitting) for _ in range(count)]
    rows = asked(
        world, scenes, draws.word(), beginning=lambda scene: " ".join(["<image>"] * len(scene.things))
    )
    return rows, pictures.of([list(scene.things) for scene in scenes], draws)


def told(world: MicroWorld, many: Sequence[Episode], only_last: bool = False) -> Rows:
    """`<image> this ? dax <end> <image> this ? wug <end> ...`; learned is a word that was said before.

    With `only_last` the last word alone counts, and each row has one answer.
    """
    rows: list[tuple[list[Piece], list[list[Piece]]]] = []
    for episode in many:
        said: set[str] = set()
        beginning: list[Piece] = []
        for place, word in enumerate(episode.words):
            last = place == len(episode.words) - 1
            beginning += [("<image> this ?", False), (word, last if only_last else word in said)]
            beginning.append(("<end>", False))
            said.add(word)
        rows.append((beginning, []))
    return lay_out(rows, world.vocabulary)


def exchanged(episode: Episode, answer: bool) -> Episode:
    """The two words of the examples exchanged, the pictures left; with `answer`, in the question too."""
    pair = sorted(set(episode.words))
    if len(pair) != 2:
        return episode
    other = {pair[0]: pair[1], pair[1]: pair[0]}
    *examples, asked_for = episode.words
    words = [*(other[word] for word in examples), other[asked_for] if answer else asked_for]
    return replace(episode, words=tuple(words))


def shots(
    build: Build,
    world: MicroWorld,
    steps: int = 400,
    seed: int = 0,
    counts: Sequence[int] = (0, 1, 2, 4),
    n_episodes: int = 150,
    progress: bool = True,
) -> tuple[Numbers, Exhibit]:
    """Made-up words read off examples: how often the right one is likeliest, with every control.

    Galleries first, then episodes in turn with them, 16 rows a step (see `course_lib.few_shot`).
    """
    pictures = ThingPictures(world)
    model = build(seed)

    def batch(step: int) -> Batch:
        draws = Draws("shots", seed, step)
        if step < GALLERIES_FIRST * steps or step % 2:
            return gallery(world, pictures, draws, EPISODES)
        n_words, by = 2 + draws.below(2), draws.choose(KINDS_OF_ONE)
        many = [draw_episode(n_words, draws.word() >> 1, by, shots=2) for _ in range(EPISODES)]
        looks = pictures.of([[scene.things[0] for scene in episode.scenes] for episode in many], draws)
        return told(world, many), looks

    with tqdm(total=steps, disable=not progress, desc="shots") as bar:
        train(model, batch, steps, RATE, bar)
    numbers: Numbers = {"model": model}
    bars: dict[str, dict[str, float]] = {}
    for count in counts:
        found: dict[str, list[float]] = {}
        for by in KINDS_OF_ONE:
            many = episodes(n_episodes, 2, by, count)
            features = _looked_at(world, many)
            other = torch.cat([features[:, :-1], features[:, -1:].roll(1, dims=0)], dim=1)
            old, new = ([exchanged(episode, answer) for episode in many] for answer in (False, True))
            for name, shown, seen in (
                ("as shown", many, features),
                ("words exchanged, old answer", old, features),
                ("words exchanged, new answer", new, features),
                ("another picture asked about", many, other),
            ):
                found.setdefault(name, []).append(measure(model, (told(world, shown, True), seen))[0])
        numbers[_shots(count)] = found
        for name, shares in found.items():
            bars.setdefault(name, {})[_shots(count)] = float(np.mean(shares))
    many = episodes(n_episodes, 2, "colour", 1)
    numbers["one gate shut"] = one_gate_shut(model, (told(world, many, True), _looked_at(world, many)))
    return numbers, plots.by_kind(bars, xlabel="examples of each word", ylabel="right word likeliest")


@torch.no_grad()
def _looked_at(world: MicroWorld, many: Sequence[Episode]) -> Float[Tensor, "b n v d"]:
    features = world.features(render_many([scene for episode in many for scene in episode.scenes]))
    pictures: Tensor = rearrange(features, "(b n) v d -> b n v d", b=len(many))
    return pictures


@torch.no_grad()
def one_gate_shut(model: InterleavedModel, batch: Batch) -> list[float]:
    """Share of right answers with the attention gate of one block at zero, for each block."""
    shares: list[float] = []
    for block in model.gated:
        gate = getattr(block, GATES[0])
        kept = gate.clone()
        gate.zero_()
        shares.append(measure(model, batch)[0])
        gate.copy_(kept)
    return shares


def _shots(count: int) -> str:
    return f"{count} shot" if count == 1 else f"{count} shots"
