"""Our modules beside transformers': what is not equal is not timed, and every row can be drawn."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from course_lib.gated_block import GatedBlock
from grading import bench_modules
from grading.bench_modules import Pair, Sizes
from grading.cli import app
from grading.errors import UsageError
from grading.layout import Layout

pytest.importorskip("transformers")
TINY = Sizes("tiny", b=3, t=7, v=5, q=2, d=24, h=3, hidden=40)
measure = bench_modules.measure


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_modules, "SHORTEST_S", 0.0)
    monkeypatch.setattr(bench_modules, "SIZES", (TINY,))


def test_every_pair_computes_the_same_in_every_way_and_at_every_shape() -> None:
    for build, ways in bench_modules.PAIRS.values():
        for way in ways:
            pair = build(TINY, way, "cpu")
            assert bench_modules._apart(pair) <= bench_modules.ALLOWED
            assert all(parameter.any() for part in pair.parts for parameter in part.parameters())


def test_the_way_of_attending_is_the_one_that_the_row_names() -> None:
    for way in ("eager", "sdpa"):
        theirs = bench_modules.gated_blocks(TINY, way, "cpu").parts[1]
        assert theirs.cross_attn.config._attn_implementation == way  # type: ignore[union-attr]


def test_a_row_of_text_has_text_before_its_pictures_and_behind_each() -> None:
    pair = bench_modules.gated_blocks(TINY, "eager", "cpu")
    text, visual = pair.inputs
    pair.ours()[:, :2].sum().backward()
    assert visual.grad is not None
    assert not visual.grad.any()  # the first third reads nothing
    pair.ours().sum().backward()
    assert visual.grad.any(dim=-1).all()
    assert visual.shape[1] == TINY.pictures * TINY.q
    assert text.shape[1] == TINY.t


def test_what_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(sizes: Sizes, attention: str, device: str) -> Pair:
        pair = bench_modules.gated_blocks(sizes, attention, device)
        ours = pair.parts[0]
        assert isinstance(ours, GatedBlock)
        torch.nn.init.zeros_(ours.alpha_dense)
        return pair

    monkeypatch.setitem(bench_modules.PAIRS, "gated block", (closed, ("eager",)))
    with pytest.raises(ValueError, match=r"gated block, tiny, eager: outputs differ by .* 1e-05 is allowed"):
        bench_modules.measure(rounds=1, sizes=(TINY,))


def test_a_step_gives_gradients_to_every_weight_and_input_and_a_forward_pass_to_none() -> None:
    for build, ways in bench_modules.PAIRS.values():
        pair = build(TINY, ways[0], "cpu")
        for side, part in zip((pair.ours, pair.theirs), pair.parts, strict=True):
            bench_modules._forward(side, pair)
            assert all(parameter.grad is None for parameter in part.parameters())
            bench_modules._step(side, pair)
            assert all(parameter.grad is not None for parameter in part.parameters())
            assert all(tensor.grad is not None for tensor in pair.inputs)


def test_rows_are_written_and_drawn_one_for_each_pair_way_and_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        bench_modules, "measure", lambda *args, **more: measure(rounds=2, sizes=(TINY,), say=more["say"])
    )
    path = bench_modules.run(Layout(tmp_path), Console(file=out, width=200))
    assert path == tmp_path / "build" / "bench" / "modules.json"
    found = json.loads(path.read_text())
    names = [(row["module"], row["their_attention"], row["what"]) for row in found["rows"]]
    assert names == [
        (module, way, what)
        for module, (_, ways) in bench_modules.PAIRS.items()
        for way in ways
        for what in ("forward", "step")
    ]
    for row in found["rows"]:
        assert 0 < row["ratio_least"] <= row["ratio"] <= row["ratio_most"]
        assert row["rounds"] == 2
        assert f"{row['ratio']:.2f}" in out.getvalue()
    assert found["torch"] == torch.__version__


def test_a_device_that_is_not_here_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--device meter cannot be used here: .*; cpu can"):
        bench_modules.run(Layout(tmp_path), Console(file=io.StringIO()), "meter")


def test_a_section_that_there_is_not_names_those_there_are() -> None:
    said = CliRunner().invoke(app, ["bench", "--only", "both"])
    assert isinstance(said.exception, UsageError)
    assert "grading, bridges, modules, bakeoff, or all" in str(said.exception)
