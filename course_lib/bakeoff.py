"""The bake-off: every pattern of fusion trained on the same scenes and asked the same questions.

    model, losses, seconds = train_fusion("merge", parts, world, steps=300, seed=0)
    measured(model, world)                    right answers: all, by kind, unseen pairs, and the controls
    size_for("mlp", parts, world, 150_000)    how large it has to be for so many trained parameters
    bakeoff(parts, path=path)                 all of it, three seeds, two budgets

There are two budgets, each by itself. *parameters*: every pattern that can grow gets the size with as many
trained parameters as the others, and all take the same number of steps. *flops*: the same sizes, and each
takes as many steps as cost what "merge" spends on `STEPS` of its own. Three contestants do not meet the
first, and the table says so: "linear" and "early, frozen" are one map and cannot grow, and "early, wide" is
the language model at its full width.

Learning rates were chosen on seed 0, after `STEPS` steps, by right answers on 200 scenes that are drawn as
the training scenes are and that no run trains or is tested on; docs/log.md has the values. They suit that
number of steps: after a third of it, the best of six patterns was two to eight times as high.

Axes in this file:
    b  pictures    n  questions of one picture    k  words of one question block
"""

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from course_lib.errors import CourseError
from course_lib.fusion import Fusion, Parts, pattern
from course_lib.microworld import KINDS, Question, draw_questions
from course_lib.microworld.blocks import Blocks, question_blocks
from course_lib.microworld.draws import key
from course_lib.microworld.questions import ALL_KINDS
from course_lib.seeing import QUESTIONS
from course_lib.training import PICTURES, Stepper
from course_lib.vision import to_pixels
from course_lib.world import MicroWorld

ASKED = (*KINDS, "relation", "digit")
BUDGETS = ("parameters", "flops")
PARAMETERS = 150_000  # trained, of every pattern that can grow
OFF = 0.15  # how far from a budget of parameters a pattern may be: a language model grows by 8 in width
STEPS = 300  # of everybody under "parameters", and of `MEASURE` under "flops"
MEASURE = "merge"  # whose FLOPs are the budget
SEEDS = (0, 1, 2)
SAME = 0.02  # two numbers of steps that are so near to each other are one
CHUNK = 100  # test pictures at a time
Row = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A pattern that takes part; `size` None is the one that the budget of parameters gives it."""

    pattern: str
    size: int | None = None
    why: str = ""


CONTESTANTS: dict[str, Contestant] = {
    "early": Contestant("early"),
    "early, wide": Contestant("early", 128, "the language model at its full width"),
    "early, frozen": Contestant("early, frozen", 0, "one map, cannot grow"),
    "linear": Contestant("linear", 0, "one map, cannot grow"),
    "mlp": Contestant("mlp"),
    "merge": Contestant("merge"),
    "resampler": Contestant("resampler"),
    "q-former": Contestant("q-former"),
    "prefix-lm": Contestant("prefix-lm"),
    "cross-attention": Contestant("cross-attention"),
    "hybrid": Contestant("hybrid"),
    "late": Contestant("late"),
}


# -- one training ----------------------------------------------------------------------------------------


def train_fusion(
    name: str,
    parts: Parts,
    world: MicroWorld,
    *,
    steps: int,
    seed: int = 0,
    size: int | None = None,
    kinds: Sequence[str] = ASKED,
    learning_rate: float | None = None,
    progress: bool = False,
) -> tuple[Fusion, list[float], float]:
    """Build one pattern and train it: 16 pictures with 8 questions each in a step.

    Args:
        name: a key of `PATTERNS`.
        parts: your patches, modules, thumbnail and mask.
        world: the frozen pieces and the scenes.
        steps: how many.
        seed: of the parameters, the scenes and the questions.
        size: the pattern's own if not given.
        kinds: of question; digits need `MicroWorld.load(digits=True)`.
        learning_rate: peak; the pattern's own if not given.
        progress: show a bar.

    Returns:
        The model in eval mode, the loss of each step, the seconds of training.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = pattern(name).build(world, parts, size)
        rate = learning_rate or pattern(name).learning_rate
        losses, seconds = train(model, world, rate, steps=steps, seed=seed, kinds=kinds, bar=name * progress)
    return model, losses, seconds


def train(
    model: Fusion,
    world: MicroWorld,
    learning_rate: float,
    *,
    steps: int,
    seed: int = 0,
    kinds: Sequence[str] = ASKED,
    bar: str = "",
) -> tuple[list[float], float]:
    """Train what is built already; the loss of each step, and the seconds."""
    stepper = Stepper(model, learning_rate, steps)
    order, losses, began = torch.Generator().manual_seed(seed), [], time.perf_counter()
    model.train()
    for step in tqdm(range(1, steps + 1), disable=not bar, desc=bar):
        picked = torch.randint(len(world.train.scenes), (PICTURES,), generator=order).tolist()
        scenes = [world.train.scenes[index] for index in picked]
        questions = [
            draw_questions(scene, QUESTIONS, key(seed, step), pairs="seen", kinds=tuple(kinds))
            for scene in scenes
        ]
        blocks = question_blocks(questions, world.vocabulary)
        losses.append(stepper.step(model.loss(model.of(world.train, picked), blocks)))
    model.eval()
    return losses, time.perf_counter() - began


@torch.no_grad()
def right_answers(
    model: Fusion,
    world: MicroWorld,
    split: str = "new",
    picture: str = "own",
    kinds: Sequence[str] = ASKED,
    n_scenes: int = 400,
) -> tuple[Bool[Tensor, "b n"], list[list[Question]]]:
    """True where a question about a test scene is answered right in every word; and the questions.

    Args:
        split: "new" or "unseen": then every question is about a thing of an unseen pair.
        picture: "own", "shuffled" (another scene's) or "none".
    """
    if picture not in ("own", "shuffled", "none"):
        raise CourseError(f"There is no picture choice {picture!r}; choose one of own, shuffled and none.")
    album, pairs = world.album(split), "unseen" if split == "unseen" else "seen"
    scenes = album.scenes[:n_scenes]
    asked = [
        draw_questions(one, QUESTIONS, key("test", 0), pairs=pairs, kinds=tuple(kinds)) for one in scenes
    ]
    blocks = question_blocks(asked, world.vocabulary)
    rows = torch.arange(len(scenes))
    whose = rows.roll(max(1, len(scenes) // 2)) if picture == "shuffled" else rows
    found = [
        model.right(None if picture == "none" else model.of(album, whose[part].tolist()), blocks.rows(part))
        for part in torch.split(rows, CHUNK)
    ]
    return torch.cat(found), asked


def measured(model: Fusion, world: MicroWorld, kinds: Sequence[str] = ASKED, n_scenes: int = 400) -> Row:
    """Share of right answers of a trained model, with its own pictures and with every control.

    Returns:
        right and by_kind on new scenes, unseen on things of unseen pairs, blind without a picture, shuffled
        with another scene's.
    """
    right, asked = right_answers(model, world, kinds=kinds, n_scenes=n_scenes)
    by_kind = {}
    for kind in ALL_KINDS:
        of_kind = torch.tensor([[question.kind == kind for question in row] for row in asked])
        if of_kind.any():
            by_kind[kind] = right[of_kind].float().mean().item()
    controls = {
        "unseen": ("unseen", "own"),
        "blind": ("new", "none"),
        "shuffled": ("new", "shuffled"),
    }
    others = {
        name: right_answers(model, world, split, picture, kinds, n_scenes)[0].float().mean().item()
        for name, (split, picture) in controls.items()
    }
    return {"right": right.float().mean().item(), "by_kind": by_kind, **others}


# -- what it costs ---------------------------------------------------------------------------------------


def _one_question(world: MicroWorld) -> Blocks:
    question = draw_questions(world.new.scenes[0], 1, 0, pairs="seen", kinds=("colour",))
    return question_blocks([question], world.vocabulary)


def _answered(model: Fusion, world: MicroWorld, blocks: Blocks) -> None:
    """One pass over a picture, a question and its answer, the encoder's look included."""
    picture = world.new.pictures[:1]
    seen = world.features(picture) if model.reads == "features" else to_pixels(torch.from_numpy(picture))
    model.right(seen, blocks)


def _flops(run: Callable[[], object]) -> int:
    # torch counts the matrix products of attention only where it is computed as such.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return int(counter.get_total_flops())


def counted(name: str, parts: Parts, world: MicroWorld, size: int | None = None) -> Row:
    """What needs no clock: trained parameters, visual tokens in the stream, FLOPs.

    answer_flops is one pass over a picture, a question of the kind `colour` and its answer, encoder included
    where there is one. step_flops is one training step, forward and backward, on 16 pictures of the album
    `new` with eight questions each; the encoder's features come from memory there, as in every step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = pattern(name).build(world, parts, size)
    picked = [index % len(world.new.scenes) for index in range(PICTURES)]  # a trial run has fewer
    questions = [
        draw_questions(scene, QUESTIONS, 0, pairs="seen", kinds=ASKED)
        for scene in (world.new.scenes[index] for index in picked)
    ]
    blocks, one = question_blocks(questions, world.vocabulary), _one_question(world)
    seen = model.of(world.new, picked)
    step = _flops(lambda: model.loss(seen, blocks).backward())  # type: ignore[no-untyped-call]
    answer = _flops(lambda: _answered(model, world, one))  # torch's counter needs the graph
    return {
        "parameters": model.parameters_trained(),
        "tokens": model.tokens,
        "answer_flops": answer,
        "step_flops": step,
    }


@torch.no_grad()
def milliseconds(models: Sequence[Fusion], world: MicroWorld, rounds: int = 20) -> list[float]:
    """Median CPU time of one answer about one picture by each model, encoder included.

    They take turns, so that what else a machine does falls on all of them alike. On one thread it is what a
    clock would say on a machine that has nothing else to do.
    """
    blocks = _one_question(world)
    took: list[list[float]] = [[] for _ in models]
    for number in range(rounds + 3):  # the first three are not counted
        for model, times in zip(models, took, strict=True):
            began = time.process_time()
            _answered(model, world, blocks)
            if number >= 3:
                times.append(1000 * (time.process_time() - began))
    return [statistics.median(times) for times in took]


def size_for(name: str, parts: Parts, world: MicroWorld, parameters: int = PARAMETERS) -> int:
    """The size at which a pattern trains about so many parameters; by bisection.

    Raises:
        CourseError: it cannot grow, or no size comes within 15 % of the budget; the message says what the
            nearest size has.
    """

    def at(size: int) -> int:
        with torch.random.fork_rng(devices=[]):
            return pattern(name).build(world, parts, size).parameters_trained()

    if pattern(name).size == 0:
        raise CourseError(
            f"{name!r} cannot grow: it trains {at(0):,} parameters, and {parameters:,} are asked for; "
            f"take it as it is, or a budget of {at(0):,}."
        )
    step = pattern(name).step
    low, high = 1, 2  # in steps
    while at(high * step) < parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle * step) < parameters else (low, middle)
    near = min((low * step, high * step), key=lambda size: abs(at(size) - parameters))
    if abs(at(near) - parameters) > OFF * parameters:
        raise CourseError(
            f"no size of {name!r} trains about {parameters:,} parameters; the nearest that works is "
            f"{at(near):,}, with size={near}."
        )
    return near


# -- all of them -----------------------------------------------------------------------------------------


def entered(
    name: str,
    parts: Parts,
    world: MicroWorld,
    parameters: int = PARAMETERS,
    learning_rate: float | None = None,
) -> Row:
    """One contestant: its pattern, its size under the budget, and what is counted."""
    if name not in CONTESTANTS:
        raise CourseError(f"There is no contestant {name!r}; choose from {', '.join(CONTESTANTS)}.")
    one = CONTESTANTS[name]
    how = pattern(one.pattern)
    size = size_for(one.pattern, parts, world, parameters) if one.size is None else one.size
    return {
        "name": name,
        "pattern": one.pattern,
        "where": how.where,
        "what": how.what,
        "trains": how.trains,
        "why": one.why,
        "size": size,
        "learning_rate": learning_rate or how.learning_rate,
        **counted(one.pattern, parts, world, size),
    }


def steps_for(entries: Sequence[Row], steps: int = STEPS) -> dict[str, dict[str, int]]:
    """How many steps each contestant takes under each budget.

    Under "parameters" all take the same number. Under "flops" each takes as many as cost what `MEASURE`
    spends on that number; within 2 % of it, they are the same runs.
    """
    spend = next((one["step_flops"] for one in entries if one["name"] == MEASURE), None)
    if spend is None:
        raise CourseError(f"A budget of FLOPs is what {MEASURE!r} spends, and it does not take part; add it.")
    found = {}
    for one in entries:
        fits = max(1, round(steps * spend / one["step_flops"]))
        found[one["name"]] = {
            "parameters": steps,
            "flops": steps if abs(fits - steps) <= SAME * steps else fits,
        }
    return found


def bakeoff(
    parts: Parts,
    *,
    path: Path | None = None,
    names: Sequence[str] = tuple(CONTESTANTS),
    budgets: Sequence[str] = BUDGETS,
    seeds: Sequence[int] = SEEDS,
    steps: int = STEPS,
    workers: int = 1,
    n_scenes: int = 4000,
    n_test: int = 400,
    progress: bool = True,
) -> Row:
    """Train and test every contestant under every budget with every seed.

    Args:
        parts: yours; for more than one worker they have to stand in a module, not in a notebook.
        path: a file that gets one line for each finished run; a run that it already holds is not repeated.
        names: who takes part, keys of `CONTESTANTS`.
        budgets: of `BUDGETS`; "flops" needs "merge" to take part.
        seeds: of parameters, scenes and questions.
        steps: of everybody under "parameters", of "merge" under "flops".
        workers: processes side by side, one thread each.
        n_scenes, n_test: scenes to train on, and in each test album.
        progress: show a bar.

    Returns:
        about, entries (one for each contestant, what is counted) and runs (one for each training).
    """
    if unknown := [one for one in budgets if one not in BUDGETS]:
        raise CourseError(f"There is no budget {unknown[0]!r}; choose from {', '.join(BUDGETS)}.")
    world = MicroWorld.load(n_scenes=n_scenes, n_test=n_test, digits=True)
    entries = [entered(name, parts, world) for name in names]
    planned = (
        steps_for(entries, steps) if "flops" in budgets else {name: {"parameters": steps} for name in names}
    )
    # A run counts for every budget whose steps it took.
    jobs = {
        _mark(job): job
        for seed in seeds
        for budget in budgets
        for one in entries
        for job in [_job(one, planned[one["name"]][budget], seed, n_scenes, n_test)]
    }
    done = {mark: row for mark, row in _kept(path).items() if mark in jobs}
    missing = [job for mark, job in jobs.items() if mark not in done]
    missing.sort(key=lambda job: (job["seed"], -job["cost"]))  # long ones first, so that workers end together
    with tqdm(total=len(jobs), initial=len(done), disable=not progress, desc="bake-off") as bar:
        for row in _run(parts, missing, workers):
            done[_mark(row)] = row
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            bar.set_postfix_str(f"{row['name']}, {row['steps']} steps: {row['right']:.3f}")
            bar.update()
    about = {
        "kinds": list(ASKED),
        "budgets": list(budgets),
        "seeds": list(seeds),
        "steps": steps,
        "parameters": PARAMETERS,
        "n_scenes": n_scenes,
        "n_test": n_test,
        "torch": torch.__version__,
    }
    entries = [{**one, "steps": planned[one["name"]]} for one in entries]
    return {"about": about, "entries": entries, "runs": [done[mark] for mark in jobs]}


def _job(one: Row, steps: int, seed: int, n_scenes: int, n_test: int) -> Row:
    asked = {name: one[name] for name in ("name", "pattern", "size", "learning_rate")}
    scenes = {"n_scenes": n_scenes, "n_test": n_test}
    return {**asked, "steps": steps, "seed": seed, **scenes, "cost": steps * one["step_flops"]}


def _mark(row: Row) -> str:
    """What makes a run this one; another machine would give it another time, and nothing else."""
    names = ("name", "pattern", "size", "learning_rate", "steps", "seed", "n_scenes", "n_test")
    return json.dumps([row[name] for name in names])


def _kept(path: Path | None) -> dict[str, Row]:
    if path is None or not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            found[_mark(row)] = row
        except (ValueError, KeyError, TypeError):  # the last line of a run that was broken off
            continue
    return found


def _run(parts: Parts, jobs: Sequence[Row], workers: int) -> Iterator[Row]:
    if workers == 1:
        for job in jobs:
            yield _trial(parts, job)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        for done in as_completed([pool.submit(_trial, parts, job) for job in jobs]):
            yield done.result()


def _trial(parts: Parts, job: Row) -> Row:
    world = MicroWorld.load(n_scenes=job["n_scenes"], n_test=job["n_test"], digits=True)
    how = {name: job[name] for name in ("steps", "seed", "size", "learning_rate")}
    model, losses, seconds = train_fusion(job["pattern"], parts, world, **how)
    last = losses[-20:]
    found = measured(model, world, n_scenes=job["n_test"])
    named = {name: value for name, value in job.items() if name != "cost"}
    return {**named, **found, "loss": sum(last) / len(last), "seconds": seconds}


def timed(found: Row, parts: Parts) -> Row:
    """The same with `ms` in every entry: time of one answer on this machine, on one thread."""
    world = MicroWorld.load(n_scenes=1, n_test=1, digits=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    models = [pattern(one["pattern"]).build(world, parts, one["size"]).eval() for one in found["entries"]]
    took = milliseconds(models, world)
    entries = [{**one, "ms": ms} for one, ms in zip(found["entries"], took, strict=True)]
    torch.set_num_threads(threads)
    return {**found, "entries": entries}
