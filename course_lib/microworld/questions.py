"""Scene -> questions of six kinds, each with one right answer.

    colour   what colour is the small ring ?          red
    shape    what shape is the thing top left ?       circle
    size     what size is the red circle ?            small
    where    where is the big red cross ?             bottom right
    count    how many circles ?                       two
    exist    is there a big red circle ?              yes

Whatever a question points at is there exactly once. Yes and no are equally likely, and a "no" is hard: the
thing asked for differs in one word from a thing that is there. A count is drawn by its answer first, so
that no answer dominates.
"""

from dataclasses import dataclass
from itertools import combinations

from course_lib.errors import CourseError
from course_lib.microworld.draws import Draws
from course_lib.microworld.scenes import COLOURS, SHAPES, SIZES, UNSEEN_PAIRS, Scene, Thing
from course_lib.microworld.vocabulary import NUMBERS, PLURALS

KINDS = ("colour", "shape", "size", "where", "count", "exist")
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


def _pointer(draws: Draws, scene: Scene, thing: Thing, hidden: str) -> str | None:
    """Words that fit this thing and no other, without the property that is asked for."""
    names = [name for name in VALUES if name != hidden]
    options = []
    for count in range(1, len(names) + 1):
        for chosen in combinations(names, count):
            properties = thing.named(chosen)
            if sum(other.fits(properties) for other in scene.things) == 1:
                options.append(_name(properties))
    if hidden != "where":
        options.append(f"thing {thing.place}")
    return draws.choose(options) if options else None


def _ask_property(draws: Draws, scene: Scene, kind: str, about: list[Thing]) -> Question | None:
    thing = draws.choose(about)
    words = _pointer(draws, scene, thing, kind)
    if words is None:
        return None
    if kind == "where":
        return Question(kind, f"where is the {words} ?", thing.place, thing)
    return Question(kind, f"what {kind} is the {words} ?", getattr(thing, kind), thing)


def _ask_count(draws: Draws, scene: Scene, about: list[Thing], pairs: str) -> Question:
    if draws.below(8) == 0:
        return Question("count", "how many things ?", NUMBERS[len(scene.things)])
    by_answer: dict[int, list[str]] = {}
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
        properties[name] = draws.choose([value for value in VALUES[name] if value != properties[name]])
        is_unseen = (properties["colour"], properties["shape"]) in UNSEEN_PAIRS
        if (pairs == "seen" and is_unseen) or any(other.fits(properties) for other in scene.things):
            continue
        return Question("exist", f"is there a {_name(properties)} ?", "no")


def draw_questions(
    scene: Scene, count: int, seed: int = 0, pairs: str = "all", kinds: tuple[str, ...] = KINDS
) -> list[Question]:
    """Questions about one scene, every kind as likely.

    Args:
        scene: the scene asked about.
        count: how many; the same question may come twice.
        seed: another seed gives other questions about the same scene.
        pairs: "all"; or "seen": no question names an unseen pair, which is how bridges are trained;
            or "unseen": every question is about a thing with such a pair.
        kinds: the kinds to draw from.

    Raises:
        CourseError: an unknown kind or choice of pairs, or a scene without an unseen pair asked about one.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise CourseError(f"There is no question kind {unknown[0]!r}; choose from {', '.join(KINDS)}.")
    if pairs not in PAIRS:
        raise CourseError(f"There is no choice of pairs {pairs!r}; choose one of {', '.join(PAIRS)}.")
    about = [thing for thing in scene.things if pairs != "unseen" or thing.is_unseen]
    if not about:
        raise CourseError('This scene has no unseen pair to ask about; draw scenes of the split "unseen".')

    draws = Draws("questions", scene.seed, seed)
    questions: list[Question] = []
    kind = draws.choose(kinds)
    patience = 0
    while len(questions) < count:
        question: Question | None
        if kind == "count":
            question = _ask_count(draws, scene, about, pairs)
        elif kind == "exist":
            question = _ask_exist(draws, scene, about, pairs)
        else:
            question = _ask_property(draws, scene, kind, about)
        patience += 1
        if question is not None:
            questions.append(question)
        # A kind keeps its turn until it finds a question, so that every kind is as likely; two things alike
        # in all but their place have no `where`, so after some tries the turn passes.
        if question is not None or patience > 20:
            kind, patience = draws.choose(kinds), 0
        if question is None and patience == 0 and kinds == ("where",):
            raise CourseError("No thing of this scene can be named without its place; ask another kind.")
    return questions
