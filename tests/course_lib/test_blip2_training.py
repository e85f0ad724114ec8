"""Stage 1 on the micro-world: what the housing around a learner's parts promises."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from course_lib.blip2_masks import qformer_mask
from course_lib.blip2_qformer import QFormerLayer
from course_lib.blip2_stage1 import itc_loss, itg_loss, itm_loss, sample_negatives, similarity
from course_lib.blip2_stage2 import QueryPrefix
from course_lib.blip2_training import (
    PROPERTIES,
    TASKS,
    Captions,
    FirstStage,
    Parts,
    Sizes,
    one_property_changed,
    stage1_losses,
    train_stage1,
    write_captions,
)
from course_lib.errors import CourseError
from course_lib.microworld import Scene, Thing
from course_lib.microworld.sentences import caption
from course_lib.training import train_bridge
from course_lib.world import MicroWorld

PARTS = Parts(QFormerLayer, qformer_mask, itc_loss, sample_negatives, itm_loss, itg_loss)
SMALL = Sizes(n_queries=5, d_model=24, n_layers=3, n_heads=3, d_hidden=40, d_shared=16)


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=300, n_test=60)


@pytest.fixture
def model(world: MicroWorld) -> FirstStage:
    return FirstStage(PARTS, world, SMALL).eval()


def pairs(model: FirstStage, world: MicroWorld, count: int = 7) -> tuple[torch.Tensor, Captions]:
    visual = model.eyes(world.new.features[:count])
    return visual, Captions.of([caption(scene) for scene in world.new.scenes[:count]], world.vocabulary)


def test_every_loss_falls_and_the_same_seed_gives_the_same_numbers(world: MicroWorld) -> None:
    train = partial(train_stage1, PARTS, world=world, steps=12, seed=3, sizes=SMALL, progress=False)
    once, again = train(), train()
    assert once.losses == again.losses
    assert once.scores == again.scores
    assert set(once.losses[0]) == set(TASKS)
    for task in TASKS:
        assert once.losses[-1][task] < once.losses[0][task]


def test_training_leaves_eyes_and_torchs_own_chance_as_they_were(world: MicroWorld) -> None:
    before = torch.random.get_rng_state()
    result = train_stage1(PARTS, world=world, steps=1, sizes=SMALL, tasks=("write",), progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    fresh = FirstStage(PARTS, world, SMALL)
    assert torch.equal(result.model.eyes.position, fresh.eyes.position)
    assert set(result.losses[0]) == {"write"}


def test_every_part_trains_under_the_three_tasks_together_and_the_eyes_under_none(
    model: FirstStage, world: MicroWorld
) -> None:
    visual, captions = pairs(model, world)
    torch.stack(list(stage1_losses(model, visual, captions).values())).sum().backward()  # type: ignore[no-untyped-call]
    silent = {
        name
        for name, value in model.named_parameters()
        if (value.grad is None or not value.grad.any()) and not name.endswith("key.bias")
    }
    assert silent == {"eyes.position"}


def test_a_wrong_task_is_named(world: MicroWorld) -> None:
    for tasks in ((), ("contrast", "guess")):
        with pytest.raises(CourseError, match="contrast, match, write"):
            train_stage1(PARTS, world=world, steps=1, tasks=tasks, progress=False)


def test_alike_is_the_cosine_that_the_contrast_is_taught_with(model: FirstStage, world: MicroWorld) -> None:
    pictures, texts = torch.randn(4, 5, 16), torch.randn(6, 16)
    assert torch.allclose(model.alike(pictures, texts), similarity(pictures, texts), atol=1e-6)


def test_padding_changes_no_loss(model: FirstStage, world: MicroWorld) -> None:
    visual, captions = pairs(model, world)
    wider = Captions(
        torch.nn.functional.pad(captions.ids, (0, 29 - captions.ids.shape[1]), value=world.vocabulary.pad_id),
        torch.nn.functional.pad(captions.keep, (0, 29 - captions.keep.shape[1]), value=False),
    )
    for read in (model.compared, model.match_logits):
        narrow, wide = (read(visual, each.ids, each.keep) for each in (captions, wider))
        for a, b in zip(narrow, wide, strict=True):
            assert torch.allclose(a, b, atol=1e-5)
    one, other = (stage1_losses(model, visual, each, ("write",))["write"] for each in (captions, wider))
    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", PROPERTIES)
def test_exactly_one_property_of_one_thing_changes(name: str, world: MicroWorld) -> None:
    for scene in world.new.scenes:
        changed = one_property_changed(scene, name)
        differ = [(a, b) for a, b in zip(scene.things, changed.things, strict=True) if a != b]
        assert len(differ) == 1
        ((before, after),) = differ
        fields = ("row", "column") if name == "place" else (name,)
        kept = replace(after, **{field: getattr(before, field) for field in fields})
        assert kept == before
        assert len({thing.cell for thing in changed.things}) == len(scene.things)


def test_an_unknown_property_is_named() -> None:
    with pytest.raises(CourseError, match="colour, shape, size, place"):
        one_property_changed(Scene((Thing("big", "red", "ring", 0, 0),), 1), "weight")


def test_writing_starts_with_the_sign_and_ends_with_end(model: FirstStage, world: MicroWorld) -> None:
    visual, _ = pairs(model, world)
    with torch.no_grad():
        model.write_bias[world.vocabulary.end_id] = 1e3
    assert write_captions(model, visual, world.vocabulary) == [""] * 7
    with torch.no_grad():
        model.write_bias[world.vocabulary.end_id] = -1e3
        model.write_bias[world.vocabulary.ids["ring"]] = 1e3
    assert write_captions(model, visual, world.vocabulary) == [" ".join(["ring"] * 28)] * 7


def test_stage_2_takes_over_what_stage_1_has_learned(world: MicroWorld) -> None:
    first = train_stage1(PARTS, world=world, steps=2, sizes=SMALL, progress=False).model
    bridge = QueryPrefix(first.query_tokens, first.qformer, world.d_text)
    result = train_bridge(bridge, steps=1, learning_rate=0.0, world=world, progress=False)
    assert result.visual_tokens == 5
    assert torch.equal(bridge.query_tokens, first.query_tokens)
    assert torch.equal(result.model.eyes.position, first.eyes.position)
    assert first.qformer.text
