"""The bridges table: every reference bridge trained at fixed steps and seeds, beside the blind floor.

Written to build/bench/bridges.json; `course bench` prints it too. The references stand in modules that a
learner's edition lacks, so the table is made here and not in `course_lib.seeing`.

Beside it, build/bench/speed.json: what one training step of each bridge takes, in seconds and in memory. Each
is measured in a process of its own (`python -m grading.bench_bridges NAME`), for a peak is a process's.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from course_lib.cross_attention import CrossAttention
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.microworld import KINDS, draw_questions, draw_scenes, render_many
from course_lib.microworld.blocks import question_blocks
from course_lib.projectors import LinearProjector, MLPProjector, PixelShuffleProjector
from course_lib.qformer import SimplifiedQFormer
from course_lib.resampler import PerceiverResampler
from course_lib.seeing import Builder, MicroWorld, bridge_benchmark, train_bridge
from course_lib.vision import to_pixels
from grading.layout import Layout

WIDTH = 128  # of a patch token and of a word alike
MERGED = 4 * WIDTH  # of four patch tokens side by side
LAYERS = 4  # of the language model
ASKED = (*KINDS, "relation")  # all kinds of one picture's things; a relation is answered in two steps
SPEED_STEPS = 30


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


BRIDGES = {
    "linear, merge": Builder(lambda: LinearProjector(MERGED, WIDTH)),
    "MLP, merge": Builder(lambda: MLPProjector(MERGED, WIDTH)),
    "MLP, no merge": Builder(lambda: MLPProjector(WIDTH, WIDTH), merge=1),
    "pixel shuffle": Builder(lambda: PixelShuffleProjector(WIDTH, WIDTH, grid=(6, 6)), merge=1),
    "Q-Former, 16 queries": Builder(
        lambda: SimplifiedQFormer(MERGED, WIDTH, n_queries=16, n_layers=2, n_heads=4, d_model=WIDTH),
        steps=700,
        learning_rate=1e-3,  # at the others' 3e-3 it learns more slowly
    ),
    "gated cross-attention": Builder(gates, entrance="layers"),
    "gates, 16 resampled": Builder(lambda: gates(WIDTH), steps=800, entrance="layers", resampler=resampler),
}


def run(layout: Layout, out: Console, seeds: tuple[int, ...] = (0,)) -> Path:
    """Train every bridge with every seed on one thread, print the table and write it.

    Returns:
        The path of bridges.json.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # seconds of one core, whatever the machine has
    try:
        table = bridge_benchmark(BRIDGES, seeds, MicroWorld.load(), progress=out.is_terminal, kinds=ASKED)
    finally:
        torch.set_num_threads(threads)
    path = layout.build / "bench" / "bridges.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(table, indent=2) + "\n")
    os.replace(part, path)
    out.print(_drawn(table))
    out.print(f"Blind floor {table['blind']:.3f}: the language model without any picture. Written to {path}.")
    return path


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
    path = layout.build / "bench" / "speed.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"bridges": rows}, indent=2) + "\n")
    os.replace(part, path)
    drawn = Table(title="One training step: 16 pictures, 8 questions each, one thread")
    for heading in ("bridge", "s a step", "of it questions", "peak MB", "caching 4,000 pictures, s"):
        drawn.add_column(heading, justify="left" if heading == "bridge" else "right")
    for row in rows:
        shares = (f"{row['seconds_per_step']:.3f}", f"{row['questions_share']:.1%}")
        drawn.add_row(row["name"], *shares, f"{row['peak_mb']:.0f}", f"{row['caching_s']:.1f}")
    out.print(drawn)
    return path


def measured(name: str) -> dict[str, float]:
    """One bridge's speed and peak memory, in this very process."""
    torch.set_num_threads(1)
    builder = BRIDGES[name]
    began = time.perf_counter()
    world = MicroWorld.load()
    caching = time.perf_counter() - began
    settings: dict[str, Any] = {
        "entrance": builder.entrance,
        "merge": builder.merge,
        "kinds": ASKED,
        "progress": False,
        "resampler": builder.resampler() if builder.resampler is not None else None,
    }
    result = train_bridge(builder.make(), steps=SPEED_STEPS, world=world, **settings)
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
    return {
        "seconds_per_step": a_step,
        "questions_share": questions / a_step,
        "rendering_16_s": (time.perf_counter() - began) / 10,
        "peak_mb": peak,
        "caching_s": caching,
    }


def _drawn(table: dict[str, Any]) -> Table:
    headings = ("bridge", "seed", "steps", "s", "parameters", "tokens", "all", *KINDS, "unseen", "shuffled")
    drawn = Table(title="Bridges: exact match on new scenes")
    for heading in headings:
        drawn.add_column(heading, justify="left" if heading == "bridge" else "right")
    for row in table["bridges"]:
        shares = (row["accuracy"], *(row["by_kind"][kind] for kind in KINDS), row["unseen"], row["shuffled"])
        drawn.add_row(
            row["name"],
            str(row["seed"]),
            str(row["steps"]),
            f"{row['seconds']:.0f}",
            f"{row['parameters']:,}",
            str(row["visual_tokens"]),
            *(f"{share:.3f}" for share in shares),
        )
    return drawn


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
