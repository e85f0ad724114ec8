"""Scene -> questions of nine kinds, each with one right answer.

    colour    what colour is the small ring ?                        red
    shape     what shape is the thing top left ?                     circle
    size      what size is the red circle ?                          small
    where     where is the big red cross ?                           bottom right
    count     how many circles ?                                     two
    exist     is there a big red circle ?                            yes
    relation  check if the ring is left of the red cross ?           left right yes
    direct    is the ring left of the red cross ?                    yes
    digit     what digit is the thing top left ?                     seven

Whatever a question points at is there exactly once. Yes and no are equally likely, and a "no" is hard: the
thing asked for differs in one word from a thing that is there. A count is drawn by its answer first, so
that no answer dominates.

A relation comes in two kinds. `relation` is answered in two steps: first where each of the two things is
(its column for left and right, its row for above and below), then the verdict. `direct` wants the verdict
alone. A digit written by hand is asked for by `digit`, never by `shape`.
"""

from dataclasses import dataclass
from itertools import combinations

from course_lib.errors import CourseError
from course_lib.microworld.draws import Draws
from course_lib.microworld.scenes import (
    COLOURS,
    COLUMNS,
    DIGITS,
    ROWS,
    SHAPES,
    SIZES,
    UNSEEN_PAIRS,
    Scene,
    Thing,
)
from course_lib.microworld.vocabulary import NUMBERS, PLURALS

KINDS = ("colour", "shape", "size", "where", "count", "exist")
RELATIONS = ("relation", "direct")
ALL_KINDS = (*KINDS, *RELATIONS, "digit")
SIDES = {"left of": ("column", -1), "right of": ("column", 1), "above": ("row", -1), "below": ("row", 1)}
MOST_POINTING = 4  # words that name the two things of a relation together, so that its block stays short
PAIRS = ("all", "seen", "unseen")
VALUES = {"size": SIZES, "colour": COLOURS, "shape": SHAPES}


@dataclass(frozen=True)
class Question:
    """A question, its one right answer, and the thing it points at (None for `count` and for a "no")."""

    kind: str
    text: str
    answer: str
    thing: Thing | None = None


def _name(properties: dict[str, str]) -> str:
    noun = properties.get("shape", "thing")
    return " ".join([*(properties[name] for name in ("size", "colour") if name in properties), noun])


def _others(name: str, value: str) -> list[str]:
    """What a property could be instead; instead of a digit, another digit."""
    values = DIGITS if value in DIGITS else VALUES[name]
    return [other for other in values if other != value]


def _pointers(scene: Scene, thing: Thing, hidden: str) -> list[str]:
    """All ways to name this thing and no other, without the property that is asked for."""
    names = [name for name in VALUES if name != hidden]
    options = []
    for count in range(1, len(names) + 1):
        for chosen in combinations(names, count):
            properties = thing.named(chosen)
            if sum(other.fits(properties) for other in scene.things) == 1:
                options.append(_name(properties))
    if hidden != "where":
        options.append(f"thing {thing.place}")
    return options


def _ask_property(draws: Draws, scene: Scene, kind: str, about: list[Thing]) -> Question | None:
    if kind in ("shape", "digit"):
        about = [thing for thing in about if thing.is_digit == (kind == "digit")]
        if not about:
            return None
    thing = draws.choose(about)
    options = _pointers(scene, thing, "shape" if kind == "digit" else kind)
    if not options:
        return None
    words = draws.choose(options)
    if kind == "digit":
        return Question(kind, f"what digit is the {words} ?", thing.shape, thing)
    if kind == "where":
        return Question(kind, f"where is the {words} ?", thing.place, thing)
    return Question(kind, f"what {kind} is the {words} ?", getattr(thing, kind), thing)


def _ask_count(draws: Draws, scene: Scene, about: list[Thing], pairs: str) -> Question:
    if draws.below(8) == 0:
        return Question("count", "how many things ?", NUMBERS[len(scene.things)])
    by_answer: dict[int, list[str]] = {}
    written = sum(thing.is_digit for thing in scene.things)
    if written:
        by_answer[written] = ["digits"]
    for name, values in VALUES.items():
        for value in values:
            if pairs == "unseen" and (name == "size" or not any(getattr(t, name) == value for t in about)):
                continue
            number = sum(getattr(thing, name) == value for thing in scene.things)
            words = PLURALS[value] if name == "shape" else f"{value} things"
            by_answer.setdefault(number, []).append(words)
    number = draws.choose(sorted(by_answer))
    return Question("count", f"how many {draws.choose(by_answer[number])} ?", NUMBERS[number])


def _ask_exist(draws: Draws, scene: Scene, about: list[Thing], pairs: str) -> Question:
    names = ("size", "colour", "shape") if draws.below(2) else ("colour", "shape")
    if draws.below(2):
        thing = draws.choose(about)
        return Question("exist", f"is there a {_name(thing.named(names))} ?", "yes", thing)
    while True:  # there is always a way: four things cannot have every colour in one shape
        properties = draws.choose(about).named(names)
        name = draws.choose(names)
        properties[name] = draws.choose(_others(name, properties[name]))
        is_unseen = (properties["colour"], properties["shape"]) in UNSEEN_PAIRS
        if (pairs == "seen" and is_unseen) or any(other.fits(properties) for other in scene.things):
            continue
        return Question("exist", f"is there a {_name(properties)} ?", "no")


def _ask_relation(draws: Draws, scene: Scene, kind: str, about: list[Thing]) -> Question | None:
    if len(scene.things) < 2:
        return None
    one = draws.choose(about)
    other = draws.choose([thing for thing in scene.things if thing is not one])
    if draws.below(2):
        one, other = other, one
    side = draws.choose(tuple(SIDES))
    axis, sign = SIDES[side]
    apart = sign * (getattr(one, axis) - getattr(other, axis))
    if apart == 0:
        return None
    if (apart > 0) != bool(draws.below(2)):  # the answer is drawn first, so that yes is as likely as no
        one, other = other, one
        apart = -apart
    options = [_pointers(scene, thing, "where") for thing in (one, other)]
    if not all(options):
        return None
    names = [draws.choose(words) for words in options]
    if sum(len(name.split()) for name in names) > MOST_POINTING:
        names = [min(words, key=lambda name: len(name.split())) for words in options]
    if sum(len(name.split()) for name in names) > MOST_POINTING:
        return None
    verdict = "yes" if apart > 0 else "no"
    if kind == "direct":
        return Question(kind, f"is the {names[0]} {side} the {names[1]} ?", verdict)
    where = [(COLUMNS if axis == "column" else ROWS)[getattr(thing, axis)] for thing in (one, other)]
    text = f"check if the {names[0]} is {side} the {names[1]} ?"
    return Question(kind, text, f"{where[0]} {where[1]} {verdict}")


def draw_questions(
    scene: Scene, count: int, seed: int = 0, pairs: str = "all", kinds: tuple[str, ...] = KINDS
) -> list[Question]:
    """Questions about one scene, every kind as likely that the scene allows.

    Args:
        scene: the scene asked about.
        count: how many; the same question may come twice.
        seed: another seed gives other questions about the same scene.
        pairs: "all"; or "seen": no question names an unseen pair, which is how bridges are trained;
            or "unseen": every question is about a thing with such a pair.
        kinds: the kinds to draw from, out of `ALL_KINDS`.

    Raises:
        CourseError: an unknown kind or choice of pairs, a scene without an unseen pair asked about one, or a
            scene of which none of these kinds can be asked.
    """
    if unknown := [kind for kind in kinds if kind not in ALL_KINDS]:
        raise CourseError(f"There is no question kind {unknown[0]!r}; choose from {', '.join(ALL_KINDS)}.")
    if pairs not in PAIRS:
        raise CourseError(f"There is no choice of pairs {pairs!r}; choose one of {', '.join(PAIRS)}.")
    about = [thing for thing in scene.things if pairs != "unseen" or thing.is_unseen]
    if not about:
        raise CourseError('This scene has no unseen pair to ask about; draw scenes of the split "unseen".')

    draws = Draws("questions", scene.seed, seed)
    questions: list[Question] = []
    kind = draws.choose(kinds)
    patience = 0
    hopeless: set[str] = set()
    while len(questions) < count:
        question: Question | None
        if kind == "count":
            question = _ask_count(draws, scene, about, pairs)
        elif kind == "exist":
            question = _ask_exist(draws, scene, about, pairs)
        elif kind in RELATIONS:
            question = _ask_relation(draws, scene, kind, about)
        else:
            question = _ask_property(draws, scene, kind, about)
        patience += 1
        if question is not None:
            questions.append(question)
            hopeless.clear()
        # A kind keeps its turn until it finds a question, so that every kind is as likely; two things alike
        # in all but their place have no `where`, so after some tries the turn passes.
        asked = kind
        if question is not None or patience > 20:
            kind, patience = draws.choose(kinds), 0
        if question is None and patience == 0:
            hopeless.add(asked)
            if hopeless == set(kinds):
                raise CourseError(
                    f"No question of kind {' or '.join(kinds)} can be asked of this scene: it has no such "
                    "thing, or none that can be named without its place; ask another kind."
                )
    return questions
