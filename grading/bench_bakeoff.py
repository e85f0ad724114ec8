"""The bake-off with the reference parts: every pattern of fusion, two budgets, three seeds.

`course bench --only bakeoff` runs it. Each finished training is a line of build/bench/bakeoff.jsonl, so that
a run that was stopped goes on where it was. When all are there, the tables are printed, and
`course_lib/bakeoff_results.py` is written anew: from there the notebook of week 5 draws what it shows.
"""

import os
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from course_lib import exhibits
from course_lib.bakeoff import BUDGETS, CONTESTANTS, SEEDS, STEPS, bakeoff, timed
from course_lib.bakeoff_tables import SAID, as_module, board
from course_lib.fusion import Parts
from course_lib.fusion_masks import prefix_lm_mask
from course_lib.late_fusion import LateFusion
from course_lib.raw_patches import EarlyFusion, raw_patches
from course_lib.stream_fusion import StreamFusion, thumbnail
from grading.layout import Layout

REFERENCES = Parts(raw_patches, EarlyFusion, LateFusion, StreamFusion, thumbnail, prefix_lm_mask)
CORE_MINUTES = 80  # what all of it took on a core that was shared with others


def run(
    layout: Layout,
    out: Console,
    seeds: tuple[int, ...] = SEEDS,
    names: tuple[str, ...] = tuple(CONTESTANTS),
    steps: int = STEPS,
    workers: int | None = None,
    into: Path | None = None,
    n_scenes: int = 4000,
    n_test: int = 400,
) -> Path:
    """Run what is missing, print the tables and write the results' module.

    Args:
        layout: where build/ and course_lib/ are.
        out: where tables go.
        seeds, names, steps, n_scenes, n_test: as in `bakeoff`.
        workers: trainings side by side; one for each core if not given.
        into: the module to write; `course_lib/bakeoff_results.py` if not given.

    Returns:
        The path of the module.
    """
    workers = workers or len(os.sched_getaffinity(0))
    kept = layout.bench / "bakeoff.jsonl"
    out.print(
        f"All of it takes about {CORE_MINUTES / workers:.0f} minutes with {workers} worker(s), if nothing "
        f"else runs; what {kept} holds already is not repeated.",
        highlight=False,
    )
    began = time.perf_counter()
    found = bakeoff(
        REFERENCES,
        path=kept,
        names=names,
        seeds=seeds,
        steps=steps,
        workers=workers,
        n_scenes=n_scenes,
        n_test=n_test,
    )
    found = timed(found, REFERENCES)
    path = into or layout.course_lib / "bakeoff_results.py"
    part = path.with_suffix(".part")
    part.write_text(as_module(found), encoding="utf-8")
    os.replace(part, path)
    for budget in BUDGETS:
        out.print(drawn(f"Equal {SAID[budget]}, {len(seeds)} seeds", board(found, budget)))
    out.print(f"{(time.perf_counter() - began) / 60:.0f} min. Written to {path}.", highlight=False)
    return path


def drawn(title: str, table: exhibits.Table) -> Table:
    """A notebook's table for a terminal."""
    shown = Table(title=title, title_justify="left")
    for k, heading in enumerate(table.header):
        shown.add_column(heading, justify="left" if k < 3 else "right", no_wrap=k == 0)
    for line in table.cells():
        shown.add_row(*line)
    return shown
