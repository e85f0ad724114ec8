"""Stage 1 on the micro-world: what the housing around a learner's parts promises."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from einops import rearrange

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
    looks_watched,
    one_property_changed,
    stage1_losses,
    told,
    told_by_chance,
    told_of_content,
    train_stage1,
    what_each_cell_holds,
    what_is_there,
    with_examples,
    write_captions,
)
from course_lib.errors import CourseError, ShapeError
from course_lib.microworld import Scene, Thing
from course_lib.microworld.sentences import caption
from course_lib.projectors import MLPProjector
from course_lib.seeing import SeeingModel
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
    result = train_bridge(bridge, steps=1, learning_rate=1e-9, world=world, progress=False)
    assert result.visual_tokens == 5
    assert torch.allclose(bridge.query_tokens, first.query_tokens, atol=1e-6)
    assert torch.allclose(result.model.eyes.position, first.eyes.position, atol=1e-6)
    assert first.qformer.text


def test_a_layer_that_calls_its_text_side_for_no_text_goes_through_stage_2(world: MicroWorld) -> None:
    class Blunt(QFormerLayer):
        """Asks `intermediate` and `output` even where there is no text."""

        def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):  # type: ignore[no-untyped-def]
            tokens = self.attention(tokens, tokens, sees)
            queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
            if self.looks:
                queries = self.crossattention(queries, visual)
            queries = self.output_query(self.intermediate_query(queries), queries)
            return torch.cat([queries, self.output(self.intermediate(text), text)], dim=1)

    torch.manual_seed(1)
    careful = FirstStage(PARTS, world, SMALL)
    blunt = FirstStage(replace(PARTS, layer=Blunt), world, SMALL)
    blunt.load_state_dict(careful.state_dict())
    visual = careful.eyes(world.new.features[:3])
    torch.manual_seed(2)
    one = QueryPrefix(careful.query_tokens, careful.qformer, 8)
    torch.manual_seed(2)
    other = QueryPrefix(blunt.query_tokens, blunt.qformer, 8)
    assert torch.equal(one(visual), other(visual))
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in other.parameters())


def test_what_is_there_names_what_stands_in_a_scene() -> None:
    names, there = what_is_there([Scene((Thing("big", "red", "ring", 0, 2),), 1), Scene((), 2)])
    assert {name for name, held in zip(names, there[0], strict=True) if held} == {
        "top right",
        "red",
        "ring",
        "big",
    }
    assert len(names) == 9 + 6 + 5 + 2
    assert not there[1].any()


def test_told_is_the_share_between_the_classes_and_small_by_chance() -> None:
    draw = torch.Generator().manual_seed(0)
    there = (torch.rand(400, 3, generator=draw) < torch.tensor([0.2, 0.5, 0.7])).float()
    read = torch.randn(400, 2, 6, generator=draw)
    read[:, 1] = there[:, 1:2] * torch.randn(6, generator=draw) + 5.0
    share = told(read, there)
    for q in range(2):
        for c in range(3):
            held = there[:, c] > 0
            means = [read[rows, q].mean(dim=0) for rows in (held, ~held)]
            off = [(mean - read[:, q].mean(dim=0)).pow(2).sum() for mean in means]
            between = held.float().mean() * off[0] + (1 - held.float().mean()) * off[1]
            total = (read[:, q] - read[:, q].mean(dim=0)).pow(2).sum(dim=-1).mean()
            assert torch.allclose(share[q, c], between / total, atol=1e-5)
    assert share[1, 1] > 0.999
    chance = told_by_chance(read, there, draws=20)
    assert chance.shape == (20, 2, 3)
    assert chance.max() < 0.05
    assert torch.equal(chance, told_by_chance(read, there, draws=20))


def test_told_says_what_does_not_fit() -> None:
    read, there = torch.randn(4, 2, 3), torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    with pytest.raises(ShapeError, match="3 pictures"):
        told(read[:3], there)
    with pytest.raises(ShapeError, match="in some pictures"):
        told(read, torch.ones(4, 1))


def test_what_each_cell_holds_is_named_at_its_place() -> None:
    held = what_each_cell_holds([Scene((Thing("big", "red", "ring", 1, 2),), 1), Scene((), 2)])
    assert held.shape == (2, 9, 6 + 5 + 2)
    assert held.sum() == held[0, 5].sum() == 3


def test_a_query_that_hands_over_one_cell_is_told_by_that_cell_and_by_no_other(world: MicroWorld) -> None:
    held = what_each_cell_holds(world.train.scenes)
    maps = torch.randn(2, 13, 8, generator=torch.Generator().manual_seed(0))
    read = torch.stack([held[:, 2] @ maps[0], held[:, 7] @ maps[1], torch.randn(len(held), 8)], dim=1)
    share = told_of_content(read, held)
    assert share.shape == (3, 9)
    assert share[0, 2] > 0.95
    assert share[1, 7] > 0.95
    share[0, 2] = share[1, 7] = 0.0
    assert share.max() < 0.2
    assert share[2].max() < 0.02
    _, there = what_is_there(world.train.scenes)
    assert told(read[:, :1], there)[0, 2] < 0.5  # that something is there is the lesser part of what it is


def test_content_says_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="3 pictures"):
        told_of_content(torch.randn(3, 2, 4), torch.zeros(4, 9, 13))
    with pytest.raises(ShapeError, match="at least 10"):
        told_of_content(torch.randn(9, 2, 4), torch.zeros(9, 9, 13))


def test_the_looks_are_what_the_layer_weighs_its_values_by(model: FirstStage, world: MicroWorld) -> None:
    visual, captions = pairs(model, world)
    with torch.no_grad():
        for layer in model.qformer.encoder.layer:
            if layer.looks:
                layer.crossattention.attention.query.weight.mul_(8)
        with looks_watched(model.qformer) as seen:
            model.read("match", visual, captions.ids, captions.keep)
        assert set(seen) == {0, 2}
        for weights in seen.values():
            assert weights.shape == (7, 3, 5, 9)
            assert torch.allclose(weights.sum(dim=-1), torch.ones(7, 3, 5), atol=1e-5)
        first = model.qformer.encoder.layer[0].crossattention
        got: list[torch.Tensor] = []
        handle = first.output.register_forward_pre_hook(lambda module, args: got.append(args[0]))
        model.read("match", visual, captions.ids, captions.keep)
        handle.remove()
        values = rearrange(first.attention.value(visual), "b v (h e) -> b h v e", h=3)
        read = rearrange(seen[0] @ values, "b h q e -> b q (h e)")
        assert torch.allclose(read, got[0], atol=1e-5)
    assert not first._forward_hooks


def test_no_example_is_the_question_as_it_was_trained_and_pictures_count(world: MicroWorld) -> None:
    torch.manual_seed(0)
    seeing = SeeingModel(world, MLPProjector(4 * world.d_visual, world.d_text)).eval()
    assert with_examples(seeing, 0, count=20) == with_examples(seeing, 0, pictures="none", count=20)
    assert 0.0 <= with_examples(seeing, 2, count=5) <= 1.0
    nothing = with_examples(seeing, 2, pictures="none", texts=False, count=20)
    assert nothing == with_examples(seeing, 0, count=20)
    assert 0.0 <= with_examples(seeing, 1, pictures="asked", texts=False, count=5) <= 1.0
    with pytest.raises(CourseError, match='"own", "asked" or "none"'):
        with_examples(seeing, 1, pictures="others")
