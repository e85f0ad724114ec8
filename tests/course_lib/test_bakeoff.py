"""The bake-off: budgets are met or refused with numbers, runs repeat and go on, what ships is complete."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from course_lib import bakeoff as bakeoffs
from course_lib.bakeoff import (
    ASKED,
    BUDGETS,
    CONTESTANTS,
    MEASURE,
    OFF,
    PARAMETERS,
    SEEDS,
    STEPS,
    bakeoff,
    counted,
    measured,
    milliseconds,
    right_answers,
    size_for,
    steps_for,
    train_fusion,
)
from course_lib.bakeoff_tables import as_module, board, kind_map, results, runs_of, standing
from course_lib.errors import CourseError
from course_lib.fusion import PATTERNS, pattern
from course_lib.world import MicroWorld
from grading.bench_bakeoff import REFERENCES as PARTS

SMALL = {"n_scenes": 40, "n_test": 8, "steps": 2, "progress": False}


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=40, n_test=20, digits=True)


@pytest.mark.parametrize("name", [name for name, one in PATTERNS.items() if one.size])
def test_a_pattern_that_can_grow_meets_the_budget_with_the_nearest_of_its_sizes(
    name: str, world: MicroWorld
) -> None:
    size, step = size_for(name, PARTS, world), pattern(name).step

    def at(size: int) -> int:
        return pattern(name).build(world, PARTS, size).parameters_trained()

    off = abs(at(size) - PARAMETERS)
    assert size % step == 0
    assert off <= OFF * PARAMETERS
    assert off <= min(abs(at(size - step) - PARAMETERS), abs(at(size + step) - PARAMETERS))


def test_a_budget_that_cannot_be_met_is_refused_with_the_nearest_that_works(world: MicroWorld) -> None:
    with pytest.raises(CourseError, match=r"'linear' cannot grow: it trains 21,120 parameters, and 150,000"):
        size_for("linear", PARTS, world)
    with pytest.raises(
        CourseError, match=r"no size of 'merge' .* about 100 .* nearest .* 5,377, with size=1"
    ):
        size_for("merge", PARTS, world, 100)


def test_an_unknown_name_is_answered_with_those_there_are(world: MicroWorld) -> None:
    with pytest.raises(CourseError, match=r"no contestant 'middle'; choose from early, .*late"):
        bakeoff(PARTS, names=("middle",), **SMALL)
    with pytest.raises(CourseError, match=r"no budget 'time'; choose from parameters, flops"):
        bakeoff(PARTS, budgets=("time",), **SMALL)
    with pytest.raises(CourseError, match=r"'merge' spends, and it does not take part"):
        bakeoff(PARTS, names=("late",), **SMALL)
    model = pattern("late").build(world, PARTS)
    with pytest.raises(CourseError, match=r"no picture choice 'mine'; choose one of own, shuffled and none"):
        right_answers(model, world, picture="mine")
    with pytest.raises(CourseError, match=r"no budget 'time' in this run; choose from parameters, flops"):
        runs_of(results(), "late", "time")


def test_a_seed_is_a_run_and_leaves_torchs_generator_alone(world: MicroWorld) -> None:
    before = torch.get_rng_state()
    runs = [train_fusion("hybrid", PARTS, world, steps=3, seed=seed)[1] for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert runs[0] == runs[1] != runs[2]


def test_every_kind_is_asked_and_the_kinds_make_up_the_whole(world: MicroWorld) -> None:
    model, _, _ = train_fusion("merge", PARTS, world, steps=2)
    right, asked = right_answers(model, world)
    found = measured(model, world, n_scenes=20)
    assert set(found["by_kind"]) == set(ASKED)
    share = {kind: sum(one.kind == kind for row in asked for one in row) / right.numel() for kind in ASKED}
    total = sum(share[kind] * found["by_kind"][kind] for kind in ASKED)
    assert total == pytest.approx(found["right"], abs=1e-6)


@pytest.mark.parametrize("name", ["early", "merge", "late"])
def test_another_picture_and_none_are_what_the_model_is_asked_with(name: str, world: MicroWorld) -> None:
    """A model that looks up whose picture it was given is right with its own and with no other."""
    model = pattern(name).build(world, PARTS)
    pictures, asked_with = model.of(world.new), []

    def right(seen: Any, blocks: Any) -> torch.Tensor:
        asked_with.append(seen)
        return torch.zeros(blocks.ids.shape[:2], dtype=torch.bool)

    model.right = right  # type: ignore[method-assign]
    for picture in ("own", "shuffled", "none"):
        right_answers(model, world, picture=picture)
    own, shuffled, none = asked_with
    assert torch.equal(own, pictures)
    assert torch.equal(shuffled, pictures.roll(10, dims=0))
    assert none is None


def test_equal_flops_are_equal_to_within_half_a_step_or_two_percent(world: MicroWorld) -> None:
    sizes = ((MEASURE, 600), ("a", 95), ("b", 4100), ("near", 605), ("far", 620))
    entries = [{"name": name, "step_flops": flops} for name, flops in sizes]
    planned = steps_for(entries, 300)
    for one in entries:
        assert planned[one["name"]]["parameters"] == 300
        allowed = max(one["step_flops"] / 2, 0.02 * 300 * 600)
        assert abs(planned[one["name"]]["flops"] * one["step_flops"] - 300 * 600) <= allowed
    assert planned["near"]["flops"] == 300
    assert planned["far"]["flops"] == 290


def test_a_linear_map_costs_what_its_products_cost(world: MicroWorld) -> None:
    """One unit more in the middle of "merge": two products more for each token, once forward, twice back."""
    one, two = (counted("merge", PARTS, world, size) for size in (40, 41))
    a_token = 2 * (4 * world.d_visual + world.d_text)
    assert two["answer_flops"] - one["answer_flops"] == 9 * a_token
    # The tokens before the first map have a gradient, too: their positions are learned.
    assert two["step_flops"] - one["step_flops"] == 16 * 9 * 3 * a_token
    assert two["tokens"] == 9


def test_an_answer_of_each_is_timed(world: MicroWorld) -> None:
    models = [pattern(name).build(world, PARTS) for name in ("late", "linear")]
    took = milliseconds(models, world, rounds=1)
    assert len(took) == 2
    assert all(0 < one < 10_000 for one in took)


def test_a_run_goes_on_where_it_was_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.jsonl"
    names = ("linear", "merge")
    first = bakeoff(PARTS, path=path, names=names, seeds=(3,), **SMALL)
    lines = path.read_text().splitlines()
    # "merge" takes the same steps under both budgets, and so may "linear" at so few.
    assert len(lines) == len({(row["name"], row["steps"]) for row in first["runs"]}) == len(first["runs"])
    path.write_text(lines[0] + "\n" + lines[1][:40])  # broken off in the second
    trained = []
    real = bakeoffs._trial
    monkeypatch.setattr(
        bakeoffs, "_trial", lambda parts, job: trained.append(job["name"]) or real(parts, job)
    )
    again = bakeoff(PARTS, path=path, names=names, seeds=(3,), **SMALL)
    assert len(trained) == len(lines) - 1
    for one, other in zip(first["runs"], again["runs"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    for budget in BUDGETS:
        assert all(len(runs_of(again, name, budget)) == 1 for name in names)
        assert "linear" in str(board(again, budget))
        assert "relation" in str(kind_map(again, budget))
    assert "equal FLOPs" in standing(again).alt


def test_what_is_written_is_read_back_rounded() -> None:
    runs = [{"name": "a", "steps": 1, "right": 0.123456, "by_kind": {"count": 0.98765}}]
    found = {"about": {"seeds": [0]}, "entries": [{"name": "a-b, c" * 30, "ms": 1.000001}] * 2, "runs": runs}
    there: dict[str, str] = {}
    text = as_module(found)
    exec(text, there)
    read = json.loads(there["RESULTS"])
    assert read["about"] == found["about"]
    assert read["entries"] == [{"name": "a-b, c" * 30, "ms": 1.0}] * 2
    assert read["runs"][0]["right"] == 0.12346
    assert read["runs"][0]["by_kind"] == {"count": 0.98765}
    assert max(len(line) for line in text.splitlines() if "a-b" not in line) <= 110


# -- what ships ------------------------------------------------------------------------------------------


def test_what_ships_has_every_contestant_budget_and_seed() -> None:
    found = results()
    assert [one["name"] for one in found["entries"]] == list(CONTESTANTS)
    assert found["about"]["seeds"] == list(SEEDS)
    assert found["about"]["budgets"] == list(BUDGETS)
    assert found["about"]["steps"] == STEPS
    assert found["about"]["kinds"] == list(ASKED)
    for name in CONTESTANTS:
        for budget in BUDGETS:
            runs = runs_of(found, name, budget)
            assert [row["seed"] for row in runs] == list(SEEDS)
            assert all(set(row["by_kind"]) == set(ASKED) for row in runs)
    assert all(one["ms"] > 0 for one in found["entries"])


def test_what_ships_was_trained_as_the_patterns_are_today(world: MicroWorld) -> None:
    for one in results()["entries"]:
        contestant = CONTESTANTS[one["name"]]
        how = pattern(contestant.pattern)
        assert one["learning_rate"] == how.learning_rate
        assert (one["where"], one["what"], one["trains"]) == (how.where, how.what, how.trains)
        grown = size_for(contestant.pattern, PARTS, world) if contestant.size is None else contestant.size
        assert one["size"] == grown
        today = counted(contestant.pattern, PARTS, world, one["size"])
        assert {name: one[name] for name in today} == today
    planned = steps_for(results()["entries"], STEPS)
    assert {one["name"]: one["steps"] for one in results()["entries"]} == planned
