"""Scene -> sentences: whole captions, and the short phrases that name one property."""

from course_lib.microworld.draws import Draws
from course_lib.microworld.scenes import COLOURS, COLUMNS, DIGITS, ROWS, SHAPES, SIZES, Scene, Thing

COLOUR_PHRASES = tuple(f"a {colour} thing" for colour in COLOURS)
SHAPE_PHRASES = tuple(f"a {shape}" for shape in SHAPES)
DIGIT_PHRASES = tuple(f"a {digit}" for digit in DIGITS)
SIZE_PHRASES = tuple(f"a {size} thing" for size in SIZES)


def fused_words(thing: Thing) -> tuple[str, ...]:
    """The five words of a thing whose embeddings, added up, are its fused token."""
    return (thing.size, thing.colour, thing.shape, ROWS[thing.row], COLUMNS[thing.column])


def describe(thing: Thing) -> str:
    """All there is to say about one thing: `a small red circle top left`."""
    return f"a {thing.size} {thing.colour} {thing.shape} {thing.place}"


def caption(scene: Scene, seed: int = 0) -> str:
    """Every thing with every property, in an order that the seed sets.

    `a small red circle top left and a big blue square middle right`
    """
    things = Draws("caption", scene.seed, seed).shuffled(scene.things)
    return " and ".join(describe(thing) for thing in things)
