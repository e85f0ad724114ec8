"""What is in a picture, and which scenes belong to which split.

A scene is one to four things on a board of 3 x 3 cells. A thing has a size, a colour, a shape and a cell; its
shape may be a digit, written by hand. Half of the scenes use two colours only and half use two shapes only,
so that counting and telling apart are not trivial.

Splits, which never share a layout (the set of things and their cells; a test says so):

    train      what a bridge learns from: no unseen pair, no unseen place
    new        other layouts, same kinds of things: the headline number
    unseen     layouts with at least one thing whose colour-and-shape pair no bridge has trained on
    elsewhere  layouts with at least one thing in a cell where no bridge has trained on its shape
    web        what the backbones learned from: everything, never a layout of a test split

The two backbones have met every pair in every place, as a web-scale encoder would have; a bridge has not. A
layout with both an unseen pair and an unseen place is in no test split, so that each asks one thing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import no_type_check

from course_lib.errors import CourseError
from course_lib.microworld.draws import Draws, key

GRID = 3
SIZES = ("small", "big")
COLOURS = ("red", "green", "blue", "yellow", "pink", "white")
SHAPES = ("circle", "square", "triangle", "cross", "ring")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLITS = ("train", "new", "unseen", "elsewhere", "web")
UNSEEN_PAIRS = frozenset(
    {("red", "ring"), ("green", "circle"), ("blue", "triangle"), ("yellow", "cross"), ("pink", "square")}
)
UNSEEN_PLACES = frozenset(  # shape, row, column
    {("circle", 0, 0), ("square", 0, 2), ("triangle", 1, 1), ("cross", 2, 0), ("ring", 2, 2)}
)
MOST_THINGS = 4


@no_type_check  # as in draws.py
@dataclass(frozen=True)
class Thing:
    """One thing on the board; row 0 is the top row, column 0 the left one. A shape may be a digit's name."""

    size: str
    colour: str
    shape: str
    row: int
    column: int

    @property
    def cell(self) -> int:
        """The cell's number, row by row from the top left."""
        return GRID * self.row + self.column

    @property
    def place(self) -> str:
        """Where it is, in two words."""
        return f"{ROWS[self.row]} {COLUMNS[self.column]}"

    @property
    def is_unseen(self) -> bool:
        """True if no bridge has trained on this colour together with this shape."""
        return (self.colour, self.shape) in UNSEEN_PAIRS

    @property
    def is_elsewhere(self) -> bool:
        """True if no bridge has trained on this shape in this cell."""
        return (self.shape, self.row, self.column) in UNSEEN_PLACES

    @property
    def is_digit(self) -> bool:
        """True if it is a digit written by hand."""
        return self.shape in DIGITS

    def named(self, names: Iterable[str]) -> dict[str, str]:
        """Some of its properties: `named(("size", "shape"))` is `{"size": "big", "shape": "ring"}`."""
        return {name: getattr(self, name) for name in names}

    def fits(self, properties: dict[str, str]) -> bool:
        """True if it has all of these properties."""
        return all(getattr(self, name) == value for name, value in properties.items())


@no_type_check
@dataclass(frozen=True)
class Scene:
    """Things in different cells. `seed` sets what no word names: jitter, background, shades and grain."""

    things: tuple[Thing, ...]
    seed: int

    def moved(self, seed: int) -> "Scene":
        """The same things in other cells: what a caption that forgets positions cannot tell apart."""
        draws = Draws("moved", self.seed, seed)
        old = [thing.cell for thing in self.things]
        cells = old
        while cells == old:
            cells = draws.sample(range(GRID * GRID), len(old))
        things = (
            Thing(thing.size, thing.colour, thing.shape, *divmod(cell, GRID))
            for thing, cell in zip(self.things, cells, strict=True)
        )
        return Scene(tuple(sorted(things, key=lambda thing: thing.cell)), draws.word())

    @property
    def is_kept_for_tests(self) -> bool:
        """True if its layout belongs to a test split; its digits are then in handwriting kept for tests."""
        return _layout_is_kept_for_tests(self.things)


def _layout_is_kept_for_tests(things: Iterable[Thing]) -> bool:
    """One layout in eight, chosen by the layout itself, so that no seed can bring it into training."""
    code = 0
    for thing in sorted(things, key=lambda thing: thing.cell):
        shape = (SHAPES + DIGITS).index(thing.shape)
        code = key(code, thing.cell, SIZES.index(thing.size), COLOURS.index(thing.colour), shape)
    return code % 8 == 0


def split_of(scene: Scene) -> str:
    """The split a scene's layout belongs to; a layout of `train` is one of `web` too.

    A layout that no split has, because it would ask two things at once, belongs to "none".
    """
    unseen = any(thing.is_unseen for thing in scene.things)
    elsewhere = any(thing.is_elsewhere for thing in scene.things)
    if not scene.is_kept_for_tests:
        return "web" if unseen or elsewhere else "train"
    if unseen and elsewhere:
        return "none"
    return "unseen" if unseen else "elsewhere" if elsewhere else "new"


def draw_scene(draws: Draws, digits: bool = False) -> Scene:
    """Any scene, of whatever split it turns out to be; with `digits`, one in which digits are written."""
    colours = draws.sample(COLOURS, 2) if draws.below(2) else COLOURS
    shapes: Sequence[str]
    if digits:
        shapes = draws.sample(DIGITS, 3) + draws.sample(SHAPES, 1)
    else:
        shapes = draws.sample(SHAPES, 2) if draws.below(2) else SHAPES
    cells = sorted(draws.sample(range(GRID * GRID), 1 + draws.below(MOST_THINGS)))
    things = tuple(
        Thing(draws.choose(SIZES), draws.choose(colours), draws.choose(shapes), *divmod(cell, GRID))
        for cell in cells
    )
    return Scene(things, draws.word())


def draw_scenes(count: int, split: str = "train", seed: int = 0, digits: bool = False) -> list[Scene]:
    """Scenes of one split.

    Args:
        count: how many.
        split: one of `SPLITS`; the top of this file says what each is for.
        seed: another seed gives other scenes; the same seed gives the same scenes on every machine.
        digits: draw scenes in which at least one thing is a handwritten digit.

    Raises:
        CourseError: no such split.
    """
    if split not in SPLITS:
        raise CourseError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    wanted = {"train", "web"} if split == "web" else {split}
    draws = Draws("scenes", split, seed, "digits") if digits else Draws("scenes", split, seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = draw_scene(draws, digits)
        if split_of(scene) in wanted and (not digits or any(thing.is_digit for thing in scene.things)):
            scenes.append(scene)
    return scenes
