"""The bake-off's part of the benchmark: it says how long it takes, keeps its runs, and writes a module."""

import io
import json
from pathlib import Path

from rich.console import Console

from course_lib.bakeoff import BUDGETS
from course_lib.bakeoff_tables import board
from grading import bench_bakeoff
from grading.layout import Layout


def test_it_writes_a_module_that_the_tables_can_read_and_goes_on_where_it_was(tmp_path: Path) -> None:
    out, module = io.StringIO(), tmp_path / "results.py"
    small = {"steps": 2, "n_scenes": 40, "n_test": 8}
    for _ in range(2):
        bench_bakeoff.run(
            Layout(tmp_path),
            Console(file=out, width=300),
            seeds=(4,),
            names=("merge", "late"),
            workers=1,
            into=module,
            **small,
        )
    there: dict[str, str] = {}
    exec(module.read_text(), there)
    found = json.loads(there["RESULTS"])
    kept = (tmp_path / "build/bench/bakeoff.jsonl").read_text().splitlines()
    assert len(kept) == len(found["runs"])  # the second time, nothing was trained
    for budget in BUDGETS:
        assert "merge" in str(board(found, budget))
    said = out.getvalue()
    assert "takes about" in said.splitlines()[0]
    assert "Equal FLOPs of training, 1 seeds" in said
    assert "ms an answer" in said
