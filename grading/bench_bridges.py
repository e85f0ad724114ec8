"""The bridges table: every reference bridge trained at fixed steps and seeds, beside the blind floor.

Written to build/bench/bridges.json; `course bench` prints it too. The references stand in modules that a
learner's edition lacks, so the table is made here and not in `course_lib.seeing`.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from course_lib.cross_attention import CrossAttention
from course_lib.gated_cross_attention import GatedCrossAttention
from course_lib.microworld import KINDS
from course_lib.projectors import LinearProjector, MLPProjector, PixelShuffleProjector
from course_lib.qformer import SimplifiedQFormer
from course_lib.seeing import Builder, MicroWorld, bridge_benchmark
from grading.layout import Layout

WIDTH = 128  # of a patch token and of a word alike
MERGED = 4 * WIDTH  # of four patch tokens side by side
LAYERS = 4  # of the language model


def gates() -> nn.Module:
    """One gated cross-attention for each layer of the language model, reading the merged patches."""
    return nn.ModuleList(
        GatedCrossAttention(CrossAttention(WIDTH, MERGED, n_heads=4, d_head=32), WIDTH) for _ in range(LAYERS)
    )


BRIDGES = {
    "linear, merge": Builder(lambda: LinearProjector(MERGED, WIDTH)),
    "MLP, merge": Builder(lambda: MLPProjector(MERGED, WIDTH)),
    "MLP, no merge": Builder(lambda: MLPProjector(WIDTH, WIDTH), merge=1),
    "pixel shuffle": Builder(lambda: PixelShuffleProjector(WIDTH, WIDTH, grid=(6, 6)), merge=1),
    "Q-Former, 16 queries": Builder(
        lambda: SimplifiedQFormer(MERGED, WIDTH, n_queries=16, n_layers=2, n_heads=4, d_model=WIDTH),
        steps=900,
        learning_rate=5e-4,  # at the others' 3e-3 it never leaves the blind floor
    ),
    "gated cross-attention": Builder(gates, entrance="layers"),
}


def run(layout: Layout, out: Console, seeds: tuple[int, ...] = (0,)) -> Path:
    """Train every bridge with every seed on one thread, print the table and write it.

    Returns:
        The path of bridges.json.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # seconds of one core, whatever the machine has
    try:
        table = bridge_benchmark(BRIDGES, seeds, MicroWorld.load(), progress=out.is_terminal)
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
