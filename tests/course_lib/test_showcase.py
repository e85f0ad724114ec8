"""The experiments on the two backbones: each claim holds on the shipped bytes, with room to spare."""

import pytest
import torch

from course_lib.exhibits import Exhibit
from course_lib.seeing import MicroWorld, train_bridge
from course_lib.showcase import fit_probe, gates_opening, mlp, position_blindness, where_it_looks
from tests.course_lib.test_few_shot import gated


def test_plain_clip_names_colours_and_not_places_and_moved_scenes_repair_it() -> None:
    numbers, figure = position_blindness(count=80)
    plain, repaired = numbers["scores"]["captions alone"], numbers["scores"]["with moved scenes"]
    assert plain["colour"] > 0.9
    assert plain["place"] < 0.35  # chance is one in nine
    assert abs(plain["own or moved"] - 0.5) < 0.2
    assert repaired["own or moved"] > 0.9
    assert isinstance(figure, Exhibit)
    assert "chance" in str(figure)


def test_a_probe_reads_what_is_there_linearly_and_nothing_else() -> None:
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randn(400, 12, generator=draw)
    linear = (tokens[:, 3] > 0).long()
    product = (tokens[:, 3] * tokens[:, 5] > 0).long()
    for classes, low, high in ((linear, 0.95, 1.0), (product, 0.3, 0.7)):
        probe = fit_probe(tokens[:300], classes[:300], 2)
        right = (probe(tokens[300:]).argmax(1) == classes[300:]).float().mean()
        assert low <= right <= high


@pytest.mark.slow
def test_one_head_looks_at_what_it_is_asked_about_and_gates_open_from_zero() -> None:
    world = MicroWorld.load(1000, 100)
    seeing = train_bridge(mlp(world), steps=200, world=world, progress=False)
    numbers, figure = where_it_looks(seeing.model, n_scenes=60)
    assert numbers["share"] > 0.8  # chance is one in nine
    assert f"layer {numbers['layer']}" in str(figure)
    result = train_bridge(gated(0.0), entrance="layers", steps=24, world=world, progress=False)
    numbers, figure = gates_opening(result)
    assert result.gates[0][1] == [0.0] * 4
    assert max(numbers["last"].values()) > 0.003  # .010 was seen, after 24 steps
    assert isinstance(figure, Exhibit)
