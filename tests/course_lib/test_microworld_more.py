"""Digits, relations, unseen places, pages, episodes and films: right answers, no leaks, fair to guess in."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest

from course_lib.errors import CourseError
from course_lib.microworld import Scene, Thing, Vocabulary, caption, draw_questions, draw_scenes, render_many
from course_lib.microworld.draws import Draws
from course_lib.microworld.episodes import BINDINGS, draw_episode
from course_lib.microworld.films import FILM_KINDS, FRAMES, WAYS, draw_film
from course_lib.microworld.handwriting import resized, scans
from course_lib.microworld.pages import draw_pages, render_page, shrunk, tiles
from course_lib.microworld.pictures import SCALES
from course_lib.microworld.questions import ALL_KINDS, RELATIONS, Question
from course_lib.microworld.scenes import (
    COLUMNS,
    DIGITS,
    ROWS,
    SHAPES,
    UNSEEN_PAIRS,
    UNSEEN_PLACES,
    draw_scene,
    split_of,
)
from course_lib.microworld.vocabulary import MADE_UP

# Written down once, as in test_microworld.py.
DIGIT_PICTURES_SHA256 = "5eef281b54450aaeccc7948a199fcb6e173b4f9d728bc13118cafb45f72aa179"
LARGE_PICTURES_SHA256 = "10f786ad013ef9c0d0e0f4374f465c765e646aafc190181aeaa8460ed2d09c6b"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- handwriting -----------------------------------------------------------------------------------------


def test_pictures_with_digits_are_the_very_bytes_that_every_machine_makes():
    scenes = draw_scenes(64, "web", seed=3, digits=True)
    assert digest(render_many(scenes).tobytes()) == DIGIT_PICTURES_SHA256
    assert digest(render_many(scenes, scale=2).tobytes()) == LARGE_PICTURES_SHA256


def test_the_shipped_scans_are_scikit_learns():
    sklearn = pytest.importorskip("sklearn.datasets").load_digits()
    for value, digit in enumerate(DIGITS):
        ours = np.concatenate([scans(digit, False), scans(digit, True)])
        theirs = sklearn.images[sklearn.target == value]
        assert Counter(scan.tobytes() for scan in ours) == Counter(
            scan.astype(np.int16).tobytes() for scan in theirs
        )


def test_handwriting_of_test_scenes_is_in_no_training_scene():
    for digit in DIGITS:
        kept, other = ({scan.tobytes() for scan in scans(digit, part)} for part in (True, False))
        assert len(kept & other) <= 2  # two people may write alike to the pixel, at eight by eight
        assert 0.2 < len(kept) / (len(kept) + len(other)) < 0.3
    assert all(scene.is_kept_for_tests for scene in draw_scenes(30, "new", digits=True))
    assert not any(scene.is_kept_for_tests for scene in draw_scenes(30, "train", digits=True))


def test_a_resized_scan_keeps_its_ink_and_its_own_size_changes_nothing():
    scan = scans("seven", False)[3]
    assert np.array_equal(resized(scan, 8), scan)
    for side in (9, 10, 14, 28):
        large = resized(scan, side)
        assert large.shape == (side, side)
        assert 0 <= large.min()
        assert large.max() <= 16
        assert large.sum() / side**2 == pytest.approx(scan.sum() / 64, rel=0.12)


def test_every_digit_scene_has_a_digit_and_its_words():
    vocabulary, seen = Vocabulary(), set()
    for scene in draw_scenes(200, "web", 2, digits=True):
        digits = [thing.shape for thing in scene.things if thing.is_digit]
        assert digits
        seen |= set(digits)
        vocabulary.encode(caption(scene))
        for question in draw_questions(scene, 6, 1, kinds=("digit", "count", "exist", "where")):
            vocabulary.encode(f"{question.text} {question.answer}")
            if question.kind == "digit":
                assert question.answer in digits
    assert seen == set(DIGITS)


def test_a_digit_is_never_asked_for_its_shape_nor_a_shape_for_its_digit():
    for scene in draw_scenes(200, "web", 4, digits=True):
        kinds = ("shape", "colour") if any(not t.is_digit for t in scene.things) else ("colour",)
        for question in draw_questions(scene, 4, 1, kinds=("digit", *kinds)):
            assert (question.answer in DIGITS) == (question.kind == "digit")


# -- scale and pages -------------------------------------------------------------------------------------


def test_a_large_picture_shows_the_same_scene():
    scenes = draw_scenes(40, "new", 5)
    small, large = (render_many(scenes, scale).astype(int) for scale in SCALES)
    assert large.shape == (40, 96, 96, 3)
    means = large.reshape(40, 48, 2, 48, 2, 3).mean((2, 4))
    assert np.abs(means - small).mean() < 10  # two grains of sd 8 differ by about 7
    with pytest.raises(CourseError, match="no scale 3; choose one of 1, 2"):
        render_many(scenes, 3)


def test_a_page_is_cut_into_its_own_scenes():
    page = draw_pages(3, "new", seed=1)[2]
    whole = render_page(page)
    assert whole.shape == (96, 96, 3)
    assert np.array_equal(tiles(whole), render_many(list(page.scenes)))
    assert shrunk(whole).shape == (48, 48, 3)
    assert shrunk(whole)[0, 0, 0] == whole[:2, :2, 0].astype(int).sum() // 4
    with pytest.raises(CourseError, match="50 x 96"):
        tiles(np.zeros((50, 96, 3), dtype=np.uint8))


# -- places ----------------------------------------------------------------------------------------------


def test_unseen_places_are_in_no_training_scene_and_in_every_one_of_their_split():
    def places(scene: Scene) -> set[tuple[str, int, int]]:
        return {(thing.shape, thing.row, thing.column) for thing in scene.things}

    for scene in draw_scenes(600, "train", 1) + draw_scenes(200, "new", 1) + draw_scenes(200, "unseen", 1):
        assert not places(scene) & UNSEEN_PLACES
    for scene in draw_scenes(200, "elsewhere", 1):
        assert places(scene) & UNSEEN_PLACES
        assert not any(thing.is_unseen for thing in scene.things)
    assert {shape for shape, _, _ in UNSEEN_PLACES} == set(SHAPES)


def test_a_layout_that_would_ask_two_things_at_once_is_in_no_split():
    draws, found = Draws("both"), Counter()
    for _ in range(4000):
        scene = draw_scene(draws)
        found[split_of(scene)] += 1
        if split_of(scene) == "none":
            assert scene.is_kept_for_tests
            assert any(thing.is_unseen for thing in scene.things)
            assert any(thing.is_elsewhere for thing in scene.things)
    assert set(found) == {"train", "web", "new", "unseen", "elsewhere", "none"}


# -- relations -------------------------------------------------------------------------------------------


def related(scene: Scene, question: Question) -> str:
    """The answer of a relation, by another way than it was drawn."""
    words = question.text.removesuffix(" ?").split()
    words = words[2:] if question.kind == "relation" else words[1:]
    words = [word for word in words if word != "is"]
    side = next(n for n, word in enumerate(words) if word in ("left", "right", "above", "below"))
    names = words[1:side], words[words.index("the", side) + 1 :]
    things = []
    for name in names:
        fit = [t for t in scene.things if set(name) <= {t.size, t.colour, t.shape, "thing"}]
        assert len(fit) == 1, question
        things += fit
    axis = "row" if words[side] in ("above", "below") else "column"
    apart = getattr(things[1], axis) - getattr(things[0], axis)
    verdict = "yes" if (apart > 0) == (words[side] in ("left", "above")) else "no"
    assert apart
    where = [(ROWS if axis == "row" else COLUMNS)[getattr(thing, axis)] for thing in things]
    return f"{where[0]} {where[1]} {verdict}" if question.kind == "relation" else verdict


@pytest.mark.parametrize("kind", RELATIONS)
def test_every_relation_is_answered_right_and_yes_is_as_likely_as_no(kind):
    answers = Counter()
    for scene in draw_scenes(600, "web", 7):
        try:
            questions = draw_questions(scene, 3, 1, kinds=(kind,))
        except CourseError:
            continue
        for question in questions:
            assert question.answer == related(scene, question)
            answers[question.answer.split()[-1]] += 1
    assert answers.total() > 800
    assert abs(answers["yes"] / answers.total() - 0.5) < 0.04


def test_a_relation_cannot_be_guessed_from_its_words():
    learned: dict[str, Counter[str]] = defaultdict(Counter)
    right = []
    for part, seed in (("train", 21), ("new", 22)):
        for scene in draw_scenes(1500 if part == "train" else 400, part, seed):
            try:
                questions = draw_questions(scene, 4, 2, kinds=("direct",))
            except CourseError:
                continue
            for question in questions:
                # Without the nouns: they name single scenes, and no question comes twice.
                side = next(
                    word for word in question.text.split() if word in ("left", "right", "above", "below")
                )
                if part == "train":
                    learned[side][question.answer] += 1
                else:
                    right.append(learned[side].most_common(1)[0][0] == question.answer)
    assert np.mean(right) <= 0.55


def test_a_kind_that_a_scene_does_not_allow_is_an_error_and_no_endless_search():
    alone = Scene((Thing("big", "red", "circle", 0, 1),), seed=1)
    with pytest.raises(CourseError, match="No question of kind relation can be asked"):
        draw_questions(alone, 1, kinds=("relation",))
    with pytest.raises(CourseError, match="kind digit"):
        draw_questions(alone, 1, kinds=("digit",))
    assert len(draw_questions(alone, 5, kinds=ALL_KINDS)) == 5


# -- episodes and films ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", BINDINGS)
@pytest.mark.parametrize("n_words", [2, 3, 4])
def test_an_episode_has_one_right_word_and_no_place_gives_it_away(by, n_words):
    places, spoken = Counter(), Counter()
    for seed in range(400):
        episode = draw_episode(n_words, seed, by)
        *examples, asked = (scene.things[0] for scene in episode.scenes)
        fits = [
            word
            for thing, word in zip(examples, episode.words, strict=False)
            if getattr(thing, by) == getattr(asked, by)
        ]
        assert fits == [episode.answer]
        assert len(set(episode.words[:-1])) == n_words
        places[episode.words.index(episode.answer)] += 1
        spoken[episode.answer] += 1
        assert not any((thing.colour, thing.shape) in UNSEEN_PAIRS for thing in (*examples, asked))
    assert max(places.values()) < 400 / n_words * 1.35
    assert set(spoken) <= set(MADE_UP)
    assert max(spoken.values()) < 40  # no word means one thing


def test_two_shots_show_each_word_twice_and_none_leaves_the_question():
    twice = draw_episode(2, 5, shots=2)
    assert sorted(Counter(twice.words[:-1]).values()) == [2, 2]
    assert len(draw_episode(2, 5, shots=0).scenes) == 1
    assert draw_episode(3, 9) == draw_episode(3, 9)
    assert draw_episode(3, 9) != draw_episode(3, 10)
    with pytest.raises(CourseError, match="no binding 'size'"):
        draw_episode(2, 1, by="size")
    with pytest.raises(CourseError, match="1 to 4 words, and 5"):
        draw_episode(5, 1)


@pytest.mark.parametrize("kind", FILM_KINDS)
def test_a_film_answers_its_question_and_no_single_picture_does(kind):
    answers, vocabulary = Counter(), Vocabulary()
    for seed in range(300):
        film = draw_film(kind, seed)
        assert len(film.frames) == FRAMES
        vocabulary.encode(f"{film.question.text} {film.question.answer}")
        colour, shape = film.question.text.split()[-4:-2]
        seen = [[t for t in frame.things if (t.colour, t.shape) == (colour, shape)] for frame in film.frames]
        if kind == "way":
            first, last = seen[0][0], seen[-1][0]
            assert WAYS[film.question.answer] == (last.row - first.row, last.column - first.column)
        else:
            assert DIGITS[[len(frame) for frame in seen].index(1) + 1] == film.question.answer
        answers[film.question.answer] += 1
    assert max(answers.values()) < 300 * 0.36
    with pytest.raises(CourseError, match="no film of kind 'why'"):
        draw_film("why", 1)
