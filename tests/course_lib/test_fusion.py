"""Every pattern builds, learns, leaves what is frozen alone, and reads packed questions as each alone."""

import pytest
import torch
from torch import Tensor, nn

from course_lib.bakeoff import ASKED
from course_lib.errors import CourseError
from course_lib.fusion import PATTERNS, WHAT, WHERE, Fusion, Late, Streamed, pattern, question_first
from course_lib.microworld import draw_questions
from course_lib.microworld.blocks import Blocks, question_blocks
from course_lib.training import Stepper
from course_lib.world import MicroWorld
from grading.bench_bakeoff import REFERENCES as PARTS

STREAMED = [name for name in PATTERNS if name != "late"]
STEPS, FALLS = 16, 0.95  # of one batch, again and again; the slowest, whose gates start closed, falls to 0.89
ORDERS = {"question first": False, "question first and last": True}


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=60, n_test=12, digits=True)


def built(name: str, world: MicroWorld) -> Fusion:
    torch.manual_seed(0)
    if name in ORDERS:
        return question_first(world, PARTS, ORDERS[name], 24)
    return pattern(name).build(world, PARTS)


def opened(model: Fusion) -> Fusion:
    """Gates off zero: behind a closed gate nothing else would be seen to matter."""
    with torch.no_grad():
        for parameter in model.trainable():
            if parameter.numel() == 1:
                parameter.fill_(0.7)
    return model


def blocks_of(world: MicroWorld, scenes: int = 3, questions: int = 8) -> Blocks:
    asked = [
        draw_questions(scene, questions, 5, pairs="seen", kinds=ASKED) for scene in world.new.scenes[:scenes]
    ]
    return question_blocks(asked, world.vocabulary)


def test_a_pattern_says_where_and_what_in_the_words_of_the_course() -> None:
    assert {one.where for one in PATTERNS.values()} == set(WHERE)
    assert {one.what for one in PATTERNS.values()} == set(WHAT)


def test_an_unknown_pattern_is_answered_with_those_there_are() -> None:
    with pytest.raises(CourseError, match=r"no pattern 'middle'; choose one of early, .*late"):
        pattern("middle")


@pytest.mark.parametrize("name", [*PATTERNS, *ORDERS])
def test_every_trained_parameter_gets_a_gradient_and_nothing_frozen_does(
    name: str, world: MicroWorld
) -> None:
    model, blocks = opened(built(name, world)), blocks_of(world)
    model.train()
    model.loss(model.of(world.new, range(3)), blocks).backward()  # type: ignore[no-untyped-call]
    for called, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, called
            assert parameter.grad.abs().sum() > 0, called
        else:
            assert parameter.grad is None, called
    assert model.frozen.training is False or not list(model.frozen.parameters())


@pytest.mark.parametrize("name", PATTERNS)
def test_training_lowers_the_loss_and_leaves_the_frozen_model_bit_by_bit(
    name: str, world: MicroWorld
) -> None:
    model, blocks = built(name, world), blocks_of(world, scenes=4)
    before = {key: value.clone() for key, value in model.frozen.state_dict().items()}
    stepper, seen = Stepper(model, pattern(name).learning_rate, STEPS), model.of(world.new, range(4))
    model.train()
    losses = [stepper.step(model.loss(seen, blocks)) for _ in range(STEPS)]
    assert losses[-1] < FALLS * losses[0]
    assert all(torch.equal(value, model.frozen.state_dict()[key]) for key, value in before.items())
    assert bool(before) == (name != "early")


@pytest.mark.parametrize("name", [*PATTERNS, *ORDERS])
def test_the_picture_reaches_the_answer_and_its_absence_is_read(name: str, world: MicroWorld) -> None:
    model, blocks = opened(built(name, world)).eval(), blocks_of(world)
    assert isinstance(model, (Streamed, Late))
    with torch.no_grad():
        seen = model.of(world.new, range(3))
        own, other, none = (model.logits(one, blocks) for one in (seen, seen.roll(1, dims=0), None))
    answer = blocks.is_answer if own.ndim == 4 else torch.ones(own.shape[:2], dtype=torch.bool)
    assert (own - other)[answer].abs().max() > 1e-4
    assert (own - none)[answer].abs().max() > 1e-4
    assert own.isfinite().all()
    assert none.isfinite().all()


def one_by_one(model: Streamed, seen: Tensor, blocks: Blocks) -> Tensor:
    n = blocks.ids.shape[1]
    columns = [
        model.logits(
            seen, Blocks(*(one[:, k : k + 1] for one in (blocks.ids, blocks.keep, blocks.is_answer)))
        )
        for k in range(n)
    ]
    return torch.cat(columns, dim=1)


@pytest.mark.parametrize("name", [*STREAMED, *ORDERS])
def test_packed_questions_are_read_as_if_each_stood_alone(name: str, world: MicroWorld) -> None:
    model, blocks = opened(built(name, world)).eval(), blocks_of(world)
    assert isinstance(model, Streamed)
    with torch.no_grad():
        seen = model.of(world.new, range(3))
        together, alone = model.logits(seen, blocks), one_by_one(model, seen, blocks)
    # At a word that is padding nothing is asked; what stands there differs.
    apart = (together - alone)[blocks.keep].abs().max() / alone[blocks.keep].abs().max()
    assert apart < 1e-5


@pytest.mark.parametrize("name", ORDERS)
def test_with_the_question_first_its_words_change_what_the_model_makes_of_the_picture(
    name: str, world: MicroWorld
) -> None:
    model, blocks = built(name, world).eval(), blocks_of(world, questions=1)
    assert isinstance(model, Streamed)
    asked = blocks.keep & ~blocks.is_answer
    changed = blocks.ids.clone()
    changed[:, :, 0] = world.vocabulary.ids["red"]
    looks: list[Tensor] = []
    model.language_model.model.layers[-1].register_forward_hook(lambda *given: looks.append(given[2]))
    with torch.no_grad():
        seen = model.of(world.new, range(3))
        for ids in (blocks.ids, changed):
            model.logits(seen, Blocks(ids, blocks.keep, blocks.is_answer))
    k, p = asked.shape[2], model.tokens
    first, second = (hidden[:, k : k + p] for hidden in looks)
    assert (first - second).abs().max() > 1e-3


def test_late_chooses_among_whole_answers_and_every_answer_of_the_world_is_one(world: MicroWorld) -> None:
    model, blocks = built("late", world), blocks_of(world, scenes=12)
    assert isinstance(model, Late)
    classes = model.classes(blocks)
    assert classes.shape == blocks.ids.shape[:2]
    assert classes.max() < len(model.answers)
    assert isinstance(model.head, nn.Module)
    assert len(set(model.answers)) == len(model.answers)
