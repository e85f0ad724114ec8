"""The micro-world: the same for everybody, no leak from split to split, and fair to guess in."""

import hashlib
from collections import Counter, defaultdict
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from course_lib.errors import CourseError
from course_lib.microworld import (
    COLOURS,
    KINDS,
    SHAPES,
    SIZES,
    SPLITS,
    UNSEEN_PAIRS,
    Question,
    Scene,
    Thing,
    Vocabulary,
    caption,
    draw_questions,
    draw_scenes,
    render,
    render_many,
    split_of,
)
from course_lib.microworld.draws import Draws, random_bytes
from course_lib.microworld.pictures import CELL_PIXELS, PAINT, coverage
from course_lib.microworld.vocabulary import PLURALS

# Written down once. They change only if the world changes, and then the shipped backbones must be trained
# again.
PICTURES_SHA256 = "c40c483c1eaa88e826e9b20aa476b5464ad4e359a000fd9f982127cc5170f131"
QUESTIONS_SHA256 = "d317bad560cc6683279c47ed2321f69eb7068e3f752710c1a31b711f05755c96"


def words_of(scenes: list[Scene], seed: int = 0) -> str:
    return "\n".join(
        f"{caption(scene, seed)} {question.kind} {question.text} {question.answer}"
        for scene in scenes
        for question in draw_questions(scene, 8, seed)
    )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def layout(scene: Scene) -> frozenset[Thing]:
    return frozenset(scene.things)


def test_the_dice_throw_the_published_numbers_of_splitmix64():
    draws = Draws()
    draws._state = 1234567  # the reference stream for this seed, as Rosetta Code's entry on SplitMix64 has it
    assert [draws.word() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_bulk_bytes_are_the_same_stream_as_single_words():
    draws = Draws()
    draws._state = 99
    single = b"".join(draws.word().to_bytes(8, "little") for _ in range(4))[:29]
    assert random_bytes(np.array([99], dtype=np.uint64), 29).tobytes() == single


def test_pictures_are_the_very_bytes_that_every_machine_makes():
    assert digest(render_many(draw_scenes(64, "web", seed=3)).tobytes()) == PICTURES_SHA256


def test_sentences_and_questions_are_the_very_words_that_every_machine_makes():
    assert digest(words_of(draw_scenes(64, "web", seed=3)).encode()) == QUESTIONS_SHA256


@pytest.mark.parametrize("split", SPLITS)
def test_a_seed_decides_everything_and_another_seed_something_else(split):
    first, again, other = (draw_scenes(20, split, seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    assert np.array_equal(render_many(first), render_many(again))
    assert not np.array_equal(render_many(first), render_many(other))
    assert words_of(first) == words_of(again)
    assert words_of(first, seed=1) != words_of(first, seed=2)


def test_no_global_random_state_is_touched():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    words_of(draw_scenes(10, "web"))
    render_many(draw_scenes(10, "web"))
    assert np.array_equal(before, np.random.get_state()[1])


def test_a_picture_does_not_depend_on_its_neighbours():
    scenes = draw_scenes(5, "new")
    assert np.array_equal(render_many(scenes)[3], render(scenes[3]))


def test_no_layout_is_in_two_splits_whatever_the_seeds():
    counts = {"train": 1500, "web": 1500, "new": 300, "unseen": 300, "elsewhere": 300}
    layouts = {split: {layout(scene) for scene in draw_scenes(counts[split], split, 1)} for split in SPLITS}
    assert len(layouts["train"] & layouts["web"]) > 50  # so small a world that a leak would show at once
    for one, other in combinations(SPLITS, 2):
        if {one, other} != {"train", "web"}:  # the backbones may have seen what a bridge trains on
            assert not layouts[one] & layouts[other], (one, other)


def test_each_split_has_the_pairs_it_promises():
    for scene in draw_scenes(500, "train", 1) + draw_scenes(200, "new", 1):
        assert not any((thing.colour, thing.shape) in UNSEEN_PAIRS for thing in scene.things)
    for scene in draw_scenes(200, "unseen", 1):
        assert any((thing.colour, thing.shape) in UNSEEN_PAIRS for thing in scene.things)
    seen = {(thing.colour, thing.shape) for scene in draw_scenes(1000, "web", 1) for thing in scene.things}
    assert seen == {(colour, shape) for colour in COLOURS for shape in SHAPES}


def test_every_unseen_pair_leaves_its_colour_and_its_shape_seen():
    for colour, shape in UNSEEN_PAIRS:
        assert any((colour, other) not in UNSEEN_PAIRS for other in SHAPES)
        assert any((other, shape) not in UNSEEN_PAIRS for other in COLOURS)


def test_split_of_agrees_with_the_split_a_scene_was_drawn_from():
    for split in ("train", "new", "unseen"):
        assert {split_of(scene) for scene in draw_scenes(50, split, 2)} == {split}
    assert {split_of(scene) for scene in draw_scenes(200, "web", 2)} == {"train", "web"}


def test_moved_scenes_hold_the_same_things_in_other_cells():
    for scene in draw_scenes(200, "web", 4):
        moved = scene.moved(1)
        kinds = [
            Counter((thing.size, thing.colour, thing.shape) for thing in side.things)
            for side in (scene, moved)
        ]
        assert kinds[0] == kinds[1]
        assert layout(moved) != layout(scene) or len(kinds[0]) < len(scene.things)  # twins may change places
        assert len({thing.cell for thing in moved.things}) == len(scene.things)


def test_the_paint_of_every_thing_is_where_the_scene_says():
    for scene in draw_scenes(100, "new", 9):
        picture = render(scene).astype(int)
        for thing in scene.things:
            cell = picture[
                CELL_PIXELS * thing.row : CELL_PIXELS * (thing.row + 1),
                CELL_PIXELS * thing.column : CELL_PIXELS * (thing.column + 1),
            ]
            distance = {name: abs(cell - np.array(paint)).sum(-1).min() for name, paint in PAINT.items()}
            assert distance[thing.colour] < 90, (thing, distance)


def test_shapes_and_sizes_all_look_different():
    masks = [coverage(shape, size).tobytes() for shape in SHAPES for size in SIZES]
    assert len(set(masks)) == len(masks)
    for shape in SHAPES:
        assert coverage(shape, "small").sum() < 0.6 * coverage(shape, "big").sum()


def true_answer(scene: Scene, text: str) -> str:
    """The answer, found from the question's words and the scene alone, by another way than it was drawn."""
    words = text.removesuffix(" ?").split()

    def fits(thing: Thing, names: list[str]) -> bool:
        return set(names) <= {thing.size, thing.colour, thing.shape, "thing", *thing.place.split()}

    if words[:2] == ["how", "many"]:
        singular = {plural: shape for shape, plural in PLURALS.items()} | {"things": "thing"}
        names = [singular.get(word, word) for word in words[2:]]
        return ("zero", "one", "two", "three", "four")[sum(fits(thing, names) for thing in scene.things)]
    if words[:3] == ["is", "there", "a"]:
        return "yes" if any(fits(thing, words[3:]) for thing in scene.things) else "no"
    names = words[words.index("the") + 1 :]
    (thing,) = [thing for thing in scene.things if fits(thing, names)]  # fails unless exactly one fits
    return thing.place if words[0] == "where" else getattr(thing, words[1])


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_right_and_every_pointer_points_at_one_thing(split):
    pairs = "unseen" if split == "unseen" else "all"
    for scene in draw_scenes(100, split, 11):
        for question in draw_questions(scene, 8, 1, pairs=pairs):
            assert question.answer == true_answer(scene, question.text), (caption(scene), question)


@cache
def all_questions(split: str, pairs: str, count: int) -> list[Question]:
    return [q for scene in draw_scenes(count, split, 21) for q in draw_questions(scene, 8, 2, pairs=pairs)]


def test_every_kind_is_asked_as_often():
    counts = Counter(question.kind for question in all_questions("train", "seen", 2500))
    assert set(counts) == set(KINDS)
    for kind in KINDS:
        assert abs(counts[kind] / counts.total() - 1 / 6) < 0.015


def test_who_guesses_by_the_words_of_a_question_alone_gets_little():
    """The best guess that text allows: for each wording, the commonest answer, learned on other questions."""
    learned: dict[str, Counter[str]] = defaultdict(Counter)
    for question in all_questions("train", "seen", 2500):
        learned[question.text][question.answer] += 1
    right: dict[str, list[bool]] = defaultdict(list)
    for question in all_questions("new", "seen", 500):
        guess = learned[question.text].most_common(1)[0][0] if learned[question.text] else ""
        right[question.kind].append(guess == question.answer)
    floor = {kind: np.mean(hits) for kind, hits in right.items()}
    assert floor["exist"] <= 0.55
    assert floor["size"] <= 0.55
    assert np.mean([hit for hits in right.values() for hit in hits]) <= 0.40


def test_a_no_is_hard_because_all_but_one_word_is_there():
    for scene in draw_scenes(150, "new", 5):
        for question in draw_questions(scene, 4, 3, kinds=("exist",)):
            if question.answer == "no":
                names = set(question.text.removesuffix(" ?").split()[3:])
                best = max(len(names & {thing.size, thing.colour, thing.shape}) for thing in scene.things)
                assert best == len(names) - 1


def test_training_questions_never_name_an_unseen_pair_and_unseen_ones_are_about_one():
    for question in all_questions("train", "seen", 2500):
        assert not any({colour, shape} <= set(question.text.split()) for colour, shape in UNSEEN_PAIRS)
    for scene in draw_scenes(150, "unseen", 5):
        for question in draw_questions(scene, 4, 3, pairs="unseen"):
            assert question.thing is None or question.thing.is_unseen


def test_captions_say_everything_in_some_order():
    for scene in draw_scenes(50, "new", 5):
        parts = sorted(caption(scene, 1).split(" and "))
        assert parts == sorted(f"a {t.size} {t.colour} {t.shape} {t.place}" for t in scene.things)


def test_the_vocabulary_reads_back_every_sentence_of_the_world():
    vocabulary = Vocabulary()
    scenes = draw_scenes(300, "web", 8)
    texts = [caption(scene) for scene in scenes]
    texts += [f"{q.text} {q.answer}" for scene in scenes for q in draw_questions(scene, 8)]
    assert all(vocabulary.decode(vocabulary.encode(text)) == text for text in texts)
    assert len(set(vocabulary.words)) == len(vocabulary)


def test_an_unknown_word_is_named():
    with pytest.raises(CourseError, match="'purple'"):
        Vocabulary().encode("where is the purple ring ?")


def test_a_sentence_too_long_for_its_row_says_both_numbers():
    with pytest.raises(CourseError, match="5 words does not fit a row of 3"):
        Vocabulary().rows(["where is the ring ?"], 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_scenes(1, "test"), "no split 'test'; choose one of train, new, unseen, elsewhere, web"),
        (lambda: draw_questions(draw_scenes(1)[0], 1, kinds=("taste",)), "no question kind 'taste'"),
        (lambda: draw_questions(draw_scenes(1)[0], 1, pairs="some"), "no choice of pairs 'some'"),
        (lambda: draw_questions(draw_scenes(1)[0], 1, pairs="unseen"), "no unseen pair to ask about"),
    ],
)
def test_a_wrong_choice_is_answered_with_the_right_ones(call, message):
    with pytest.raises(CourseError, match=message):
        call()


def test_a_scene_where_nothing_can_be_named_without_its_place_says_so():
    twins = Scene((Thing("big", "red", "circle", 0, 0), Thing("big", "red", "circle", 1, 1)), seed=1)
    with pytest.raises(CourseError, match="without its place"):
        draw_questions(twins, 1, kinds=("where",))
