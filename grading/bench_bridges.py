"""The bridges' tables: every reference bridge trained at fixed steps and seeds, beside its controls.

`course bench` prints them and writes build/bench/bridges.json. The references stand in modules that a
learner's edition lacks, so the tables are made here and not in `course_lib`.

    bridges    each bridge, three seeds: new scenes by kind, unseen pairs, shuffled and blank pictures
    words      made-up words bound through pictures, three seeds: by a bridge that was told answers, by one
               that was told each token, and by gates that were shown episodes
    controls   a bridge on an encoder that was never taught; a bridge asked for relations with no steps
    digits     handwriting read through 1, 4, 9 and 36 visual tokens

Every row is one *trial*, in a process of its own on one thread: its seconds are of one core, whatever the
machine has, and as many trials run side by side as there are cores. Which trials there are is the table
`TRIALS`; a row does not depend on which others run.

Beside it, build/bench/speed.json: what one training step of each bridge takes, in seconds and in memory. Each
is measured in a process of its own, for a peak is a process's, and one after another, so that no other trial
takes the cache away.
"""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console, Group
from rich.table import Table
from torch import nn

from course_lib.alignment import align_bridge
from course_lib.cross_attention import CrossAttention
from course_lib.few_shot import few_shot_accuracy, train_on_episodes
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.microworld import KINDS, draw_questions, draw_scenes, render_many
from course_lib.microworld.blocks import question_blocks
from course_lib.microworld.episodes import BINDINGS
from course_lib.microworld.questions import ALL_KINDS
from course_lib.projectors import LinearProjector, MLPProjector, PixelShuffleProjector
from course_lib.qformer import SimplifiedQFormer
from course_lib.resampler import PerceiverResampler
from course_lib.seeing import SeeingModel, evaluate
from course_lib.showcase import TILE_TOKENS, read_through
from course_lib.training import Result, train_bridge
from course_lib.vision import to_pixels
from course_lib.world import UNTRAINED, MicroWorld
from grading.layout import Layout

WIDTH = 128  # of a patch token and of a word alike
MERGED = 4 * WIDTH  # of four patch tokens side by side
LAYERS = 4  # of the language model
ASKED = (*KINDS, "relation")  # all kinds of one picture's things; a relation is answered in two steps
DIRECTLY = (*ASKED, "direct")  # and relations with no steps
SEEDS = (0, 1, 2)
SEEDED = ("bridges", "words")  # sections whose claims are about three seeds
SPEED_STEPS = 30
Row = dict[str, Any]


def gates(d_visual: int = MERGED) -> nn.Module:
    """One gated cross-attention for each layer of the language model, reading the merged patches."""
    return nn.ModuleList(
        GatedCrossAttention(CrossAttention(WIDTH, d_visual, n_heads=4, d_head=32), WIDTH)
        for _ in range(LAYERS)
    )


def resampler() -> nn.Module:
    """Sixteen latents that read the merged patches, made as wide as a word first."""
    latents = PerceiverResampler(WIDTH, n_latents=16, n_layers=2, n_heads=4, d_head=32)
    return nn.Sequential(nn.Linear(MERGED, WIDTH), latents)


@dataclass(frozen=True)
class Builder:
    """How to make one bridge, and how to train it."""

    make: Callable[[], nn.Module]
    steps: int = 400
    entrance: str = "prefix"
    merge: int = 2
    learning_rate: float | None = None
    resampler: Callable[[], nn.Module] | None = None

    def train(self, seed: int, *, steps: int | None = None, **settings: Any) -> Result:
        """Make it and train it; `settings` are more of `train_bridge`'s."""
        torch.manual_seed(seed)
        return train_bridge(
            self.make(),
            steps=steps or self.steps,
            seed=seed,
            entrance=self.entrance,
            merge=self.merge,
            learning_rate=self.learning_rate,
            resampler=self.resampler() if self.resampler is not None else None,
            progress=False,
            **settings,
        )


BRIDGES = {
    "linear, merge": Builder(lambda: LinearProjector(MERGED, WIDTH)),
    "MLP, merge": Builder(lambda: MLPProjector(MERGED, WIDTH)),
    "MLP, no merge": Builder(lambda: MLPProjector(WIDTH, WIDTH), merge=1),
    "pixel shuffle": Builder(lambda: PixelShuffleProjector(WIDTH, WIDTH, grid=(6, 6)), merge=1),
    "Q-Former, 16 queries": Builder(
        lambda: SimplifiedQFormer(MERGED, WIDTH, n_queries=16, n_layers=2, n_heads=4, d_model=WIDTH),
        steps=500,
        learning_rate=5e-4,  # its norms come after its maps: at twice that rate it ends at .73, not at .97
    ),
    "gated cross-attention": Builder(gates, entrance="layers"),
    "gates, 16 resampled": Builder(lambda: gates(WIDTH), steps=500, entrance="layers", resampler=resampler),
}
UNTAUGHT = ("linear, merge", "MLP, merge", "gated cross-attention")  # on an encoder that was never taught
# What stands over a column of totals, and the field of a row that it shows.
TOTALS = {
    "new scenes": "accuracy",
    "unseen pairs": "unseen",
    "their shape": "unseen_shape",
    "shuffled": "shuffled",
    "blank": "blank",
    "blind": "blind",
}
WORDS = ("told answers", "told each token", "episodes, by gates")


# -- one trial -------------------------------------------------------------------------------------------


def bridge_trial(name: str, seed: int, steps: int | None) -> Row:
    """One bridge, all kinds of question, and the shape of unseen pairs by itself."""
    result = BRIDGES[name].train(seed, steps=steps, kinds=ASKED, name=name)
    shape = evaluate(result.model, "unseen", kinds=("shape",)).accuracy
    return {**result.row(), "unseen_shape": shape}


def control_trial(name: str, seed: int, steps: int | None) -> Row:
    """On an encoder that was never taught; or, for "direct relations", with verdicts asked for at once."""
    settings: Row = {"steps": steps, "kinds": ASKED, "name": name}
    if name == "direct relations":
        return BRIDGES["MLP, merge"].train(seed, **{**settings, "kinds": DIRECTLY}).row()
    settings["world"] = MicroWorld.load(encoder=UNTRAINED)
    return {**BRIDGES[name].train(seed, **settings).row(), "name": f"{name}; encoder untaught"}


def words_trial(name: str, seed: int, steps: int | None) -> Row:
    """Made-up words through pictures: right answers, own picture and another's in the last place."""
    torch.manual_seed(seed)
    settings: Row = {"steps": steps or 600, "seed": seed, "progress": False}
    model: SeeingModel
    if name == "told answers":
        result = BRIDGES["MLP, merge"].train(seed, steps=steps)
        model, seconds = result.model, result.seconds
    elif name == "told each token":
        result = align_bridge(MLPProjector(MERGED, WIDTH), **settings)
        model, seconds = result.model, result.seconds
    else:
        blocks, latents = gates(WIDTH), resampler()
        model, seconds = train_on_episodes(blocks, entrance="layers", resampler=latents, **settings)
    shares = {
        f"{by} {n_words}{' shuffled' if query == 'shuffled' else ''}": few_shot_accuracy(
            model, n_words, by, query=query
        )
        for by in BINDINGS
        for n_words in (2, 3)
        for query in ("own", "shuffled")
    }
    return {"name": name, "seed": seed, "seconds": round(seconds, 2), **shares}


def digits_trial(tokens: int, seed: int, steps: int | None) -> Row:
    """Handwriting through so many visual tokens."""
    return read_through(tokens, steps or 300, seed).row()


TRIALS: dict[str, tuple[Callable[[Any, int, int | None], Row], tuple[Any, ...]]] = {
    "bridges": (bridge_trial, tuple(BRIDGES)),
    "words": (words_trial, WORDS),
    "controls": (control_trial, (*UNTAUGHT, "direct relations")),
    "digits": (digits_trial, TILE_TOKENS),
}


def trial(section: str, name: Any, seed: int, steps: int | None = None) -> Row:
    """One row of one section, on one thread; with other steps than its own for a quick look."""
    torch.set_num_threads(1)
    return TRIALS[section][0](name, seed, steps)


# -- all of them -----------------------------------------------------------------------------------------


def run(
    layout: Layout,
    out: Console,
    seeds: tuple[int, ...] = SEEDS,
    sections: tuple[str, ...] = tuple(TRIALS),
    workers: int | None = None,
    steps: int | None = None,
) -> Path:
    """Run the trials of some sections with every seed, print their tables and write them.

    Args:
        layout: where build/ is.
        out: where tables and progress go.
        seeds: of scenes, questions and bridges.
        sections: keys of `TRIALS`.
        workers: trials side by side; one for each core if not given.
        steps: of every training, for a quick look; its own if not given.

    Returns:
        The path of bridges.json.
    """
    asked = [
        (section, name, seed)
        for section in sections
        for name in TRIALS[section][1]
        for seed in (seeds if section in SEEDED else seeds[:1])
    ]
    began = time.perf_counter()
    rows: dict[tuple[str, Any, int], Row] = {}
    tables: dict[str, list[Row]] = {}
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
    with ProcessPoolExecutor(workers or len(os.sched_getaffinity(0)), mp_context=spawn) as pool:
        waiting = {pool.submit(trial, *one, steps): one for one in asked}
        for done in as_completed(waiting):
            rows[waiting[done]] = row = done.result()
            out.print(f"{len(rows)} of {len(asked)}: {row['name']}, seed {row['seed']}", highlight=False)
            # Written after every trial: whoever stops early keeps what there is.
            tables = {
                section: [rows[one] for one in asked if one in rows and one[0] == section]
                for section in sections
            }
            path = _written(layout, "bridges.json", {"seconds": round(time.perf_counter() - began), **tables})
    seconds = round(time.perf_counter() - began)
    for section in sections:
        out.print(_DRAWN[section](tables[section]))
    out.print(f"{len(asked)} trials in {seconds / 60:.0f} min. Written to {path}.")
    return path


def _written(layout: Layout, name: str, content: Row) -> Path:
    path = layout.build / "bench" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(part, path)
    return path


def _table(title: str, *headings: str) -> Table:
    drawn = Table(title=title, title_justify="left")
    for heading in headings:
        text = heading in ("bridge", "taught by")
        drawn.add_column(heading, justify="left" if text else "right", no_wrap=text)
    return drawn


def _shares(row: Row, names: tuple[str, ...]) -> list[str]:
    return [f"{row[name]:.3f}" if name in row else "" for name in names]


def _each(rows: list[Row], name: str) -> str:
    """One share a seed; a row that lacks it is passed over."""
    return " ".join(f"{row[name]:.3f}".lstrip("0") for row in rows if name in row)


def _by_name(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    return found


def _draw_bridges(rows: list[Row]) -> Group:
    """Two tables, for one would be wider than a terminal: the totals of each seed, and the kinds' means."""
    totals = _table("Exact match, one share a seed", "bridge", "steps", "s", "tokens", *TOTALS)
    kinds = tuple(kind for kind in ALL_KINDS if any(kind in row["by_kind"] for row in rows))
    means = _table("New scenes by kind, mean of the seeds", "bridge", *kinds)
    for name, same in _by_name(rows).items():
        seconds = " ".join(f"{row['seconds']:.0f}" for row in same)
        shares = [_each(same, field) for field in TOTALS.values()]
        totals.add_row(name, str(same[0]["steps"]), seconds, str(same[0]["visual_tokens"]), *shares)
        by_kind = [[row["by_kind"][kind] for row in same if kind in row["by_kind"]] for kind in kinds]
        means.add_row(name, *(f"{sum(one) / len(one):.3f}" if one else "" for one in by_kind))
    return Group(totals, means)


def _draw_words(rows: list[Row]) -> Group:
    names = tuple(name for name in rows[0] if name not in ("name", "seed", "seconds"))
    drawn = _table("Made-up words bound through pictures", "taught by", "seed", "s", *names)
    for row in rows:
        drawn.add_row(row["name"], str(row["seed"]), f"{row['seconds']:.0f}", *_shares(row, names))
    return Group(drawn)


_DRAWN = {
    "bridges": _draw_bridges,
    "controls": _draw_bridges,
    "words": _draw_words,
    "digits": _draw_bridges,
}


# -- speed -----------------------------------------------------------------------------------------------


def speed(layout: Layout, out: Console) -> Path:
    """Seconds and peak memory of one training step of each bridge, on one thread; print and write them.

    Returns:
        The path of speed.json.
    """
    rows = []
    for name in BRIDGES:
        done = subprocess.run(
            [sys.executable, "-m", "grading.bench_bridges", name], capture_output=True, text=True, check=True
        )
        rows.append({"name": name, **json.loads(done.stdout.splitlines()[-1])})
    path = _written(layout, "speed.json", {"bridges": rows})
    headings = ("bridge", "s a step", "of it questions", "rendering would be", "peak MB", "caching, s")
    drawn = _table("One training step: 16 pictures, 8 questions each, one thread", *headings)
    for row in rows:
        drawn.add_row(
            row["name"],
            f"{row['seconds_per_step']:.3f}",
            f"{row['questions_share']:.1%}",
            f"{row['rendering_share']:.1%}",
            f"{row['peak_mb']:.0f}",
            f"{row['caching_s']:.1f}",
        )
    out.print(drawn)
    return path


def measured(name: str) -> dict[str, float]:
    """One bridge's speed and peak memory, in this very process.

    Caching is drawing, rendering and looking at all pictures of a world, once. "Rendering would be" is what a
    step would spend on rendering its 16 pictures, were they not kept.
    """
    torch.set_num_threads(1)
    began = time.perf_counter()
    world = MicroWorld.load()
    caching = time.perf_counter() - began
    result = BRIDGES[name].train(0, steps=SPEED_STEPS, world=world, kinds=ASKED)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    # What a step spends before any tensor: drawing the questions and making them ids.
    began = time.perf_counter()
    for step in range(10):
        scenes = world.train.scenes[16 * step : 16 * (step + 1)]
        question_blocks([draw_questions(scene, 8, step, kinds=ASKED) for scene in scenes], world.vocabulary)
    questions = (time.perf_counter() - began) / 10
    a_step = result.seconds / SPEED_STEPS
    scenes = draw_scenes(160, "train", 1)
    began = time.perf_counter()
    to_pixels(torch.from_numpy(render_many(scenes)))
    rendering = (time.perf_counter() - began) / 10
    return {
        "seconds_per_step": a_step,
        "questions_share": questions / a_step,
        "rendering_share": rendering / (a_step + rendering),
        "peak_mb": peak,
        "caching_s": caching,
    }


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
