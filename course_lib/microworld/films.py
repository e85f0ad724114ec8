"""Films: a few pictures one after another, in which one thing moves, comes or goes.

    which way does the red ring go ?        right       it is one column further in the last picture
    when does the blue cross come ?         three       the first picture that shows it

A film asks for what no single picture tells: `which way` needs two of them, `when` needs their order.
"""

from dataclasses import dataclass
from typing import no_type_check

from course_lib.errors import CourseError
from course_lib.microworld.draws import Draws
from course_lib.microworld.questions import Question
from course_lib.microworld.scenes import COLOURS, DIGITS, GRID, SHAPES, SIZES, Scene, Thing

FRAMES = 4
WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0), "nowhere": (0, 0)}
FILM_KINDS = ("way", "when")


@no_type_check  # as in draws.py
@dataclass(frozen=True)
class Film:
    """Scenes in order, one question about them, and its answer inside the question."""

    frames: tuple[Scene, ...]
    question: Question


def draw_film(kind: str, seed: int) -> Film:
    """One film with its question.

    Args:
        kind: "way", which way something goes, or "when", in which picture something comes.
        seed: another seed gives another film.

    Raises:
        CourseError: another kind.
    """
    if kind not in FILM_KINDS:
        raise CourseError(f"There is no film of kind {kind!r}; choose one of {', '.join(FILM_KINDS)}.")
    draws = Draws("film", kind, seed)
    shapes, colours = draws.sample(SHAPES, 2), draws.sample(COLOURS, 2)
    size = draws.sample(SIZES, 2)
    if kind == "way":
        way = draws.choose(tuple(WAYS))
        down, right = WAYS[way]
        # It starts where it can take one step; the step comes between two pictures drawn at random.
        row, column = (draws.choose([c for c in range(GRID) if 0 <= c + d < GRID]) for d in (down, right))
        turn = 1 + draws.below(FRAMES - 1)
        path = [(row, column) if n < turn else (row + down, column + right) for n in range(FRAMES)]
        shown = [True] * FRAMES
        answer = way
    else:
        first = draws.below(FRAMES)
        path = [(draws.below(GRID), draws.below(GRID))] * FRAMES
        shown = [n >= first for n in range(FRAMES)]
        answer = DIGITS[first + 1]
    taken = set(path)
    cells = [(r, c) for r in range(GRID) for c in range(GRID) if (r, c) not in taken]
    other = Thing(size[1], colours[1], shapes[1], *draws.choose(cells))
    look = draws.word()  # the same light and shades in every picture; only what moves is new
    frames = []
    for n in range(FRAMES):
        mover = (Thing(size[0], colours[0], shapes[0], *path[n]),) if shown[n] else ()
        frames.append(Scene(tuple(sorted((*mover, other), key=lambda thing: thing.cell)), look))
    name = f"{colours[0]} {shapes[0]}"
    text = f"which way does the {name} go ?" if kind == "way" else f"when does the {name} come ?"
    return Film(tuple(frames), Question(kind, text, answer))
