"""The bridges' tables: every section gives rows that its table can draw, in a process of their own."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from grading import bench_bridges
from grading.layout import Layout

SHARE = 0.5


def row(name: str, **more: object) -> bench_bridges.Row:
    """A row as `train_bridge` makes it."""
    shares = dict.fromkeys(("accuracy", "unseen", "blind", "shuffled", "blank"), SHARE)
    by_kind = dict.fromkeys(bench_bridges.ASKED, SHARE)
    numbers = {"seed": 0, "steps": 2, "seconds": 1.0, "parameters": 1234, "visual_tokens": 9}
    return {"name": name, **numbers, **shares, "by_kind": by_kind, **more}


def drawn(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=300).print(table)
    return out.getvalue()


def test_every_section_has_a_table_and_every_table_its_columns() -> None:
    assert set(bench_bridges.TRIALS) == set(bench_bridges._DRAWN)
    text = drawn(bench_bridges._draw_bridges([row("plain"), row("plain", accuracy=0.75), row("other")]))
    assert ".500 .750" in text  # one share a seed, side by side
    assert text.count("plain") == text.count("other") == 2  # totals, and kinds
    assert "direct" not in text  # nobody was asked for it
    assert "their shape" in text
    digits = row("9 tokens", by_kind=dict.fromkeys((*bench_bridges.KINDS, "digit"), SHARE))
    assert "digit" in drawn(bench_bridges._draw_bridges([digits]))
    words = {"name": "told answers", "seed": 0, "seconds": 2.0, "colour 2": SHARE, "colour 2 shuffled": SHARE}
    assert "colour 2 shuffled" in drawn(bench_bridges._draw_words([words]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("bridges", "gates, 16 resampled"),
        ("words", "episodes, by gates"),
        ("controls", "direct relations"),
        ("digits", 4),
    ],
)
def test_a_trial_gives_a_row_that_its_table_can_draw(section: str, name: str | int) -> None:
    assert name in bench_bridges.TRIALS[section][1]
    found = bench_bridges.trial(section, name, 0, steps=1)
    assert json.loads(json.dumps(found)) == found
    assert found["name"] == (f"{name} tokens" if section == "digits" else name)
    assert str(found["name"]) in drawn(bench_bridges._DRAWN[section]([found]))


@pytest.mark.slow
def test_trials_run_in_processes_of_their_own_and_are_written_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("linear, merge", "MLP, merge")
    monkeypatch.setitem(bench_bridges.TRIALS, "bridges", (bench_bridges.bridge_trial, names))
    out = io.StringIO()
    path = bench_bridges.run(
        Layout(tmp_path), Console(file=out, width=300), (3,), ("bridges",), workers=2, steps=1
    )
    rows = json.loads(path.read_text())["bridges"]
    assert [(one["name"], one["seed"]) for one in rows] == [(name, 3) for name in names]
    assert "2 trials" in out.getvalue()
