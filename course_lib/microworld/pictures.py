"""Scene -> picture: 48 x 48 pixels, three channels, whole numbers from 0 to 255; 96 x 96 at scale 2.

Edges are smoothed by counting how many of 16 points inside a pixel the shape covers. Every sum is in
integers, so a scene has the same bytes on every machine. Besides what words name, a picture has what they
do not: a grey background of some brightness, things a little off the middle of their cell, shades that
vary, and grain.

The six colours differ in lightness as well as in hue, so that most colour-blind eyes can tell them apart.

Axes in this file:
    n  pictures    y  pixel rows    x  pixel columns    c  red, green, blue
"""

from functools import cache, lru_cache
from statistics import NormalDist

import numpy as np
from jaxtyping import Int16, UInt8
from numpy import ndarray

from course_lib.errors import CourseError
from course_lib.microworld.draws import Draws, key, random_bytes
from course_lib.microworld.handwriting import resized, scans
from course_lib.microworld.scenes import DIGITS, GRID, Scene, Thing

CELL_PIXELS = 16
PICTURE_SIZE = GRID * CELL_PIXELS
SCALES = (1, 2)  # the encoder reads scale 1; scale 2 is for looking, and for cutting into tiles
RADIUS = {"small": 4, "big": 6}  # pixels
DIGIT_SIDE = {"small": 10, "big": 14}  # pixels
PAINT = {
    "red": (205, 48, 40),
    "green": (20, 150, 95),
    "blue": (25, 80, 200),
    "yellow": (240, 215, 50),
    "pink": (235, 130, 195),
    "white": (248, 248, 246),
}
SHADE_SD = 12  # of 255, how much the paint of one thing differs from its colour
GRAIN_SD = 8  # of 255, how much one pixel differs from its neighbours
MOST_JITTER = 2  # pixels


def _bell(sd: int) -> Int16[ndarray, " 256"]:
    """256 equally likely values of a normal distribution: a byte indexes it."""
    normal = NormalDist(0, sd)
    return np.array([round(normal.inv_cdf((byte + 0.5) / 256)) for byte in range(256)], dtype=np.int16)


_SHADE, _GRAIN = _bell(SHADE_SD), _bell(GRAIN_SD)


@cache
def coverage(shape: str, size: str, scale: int = 1) -> Int16[ndarray, "y x"]:
    """How much of each pixel of a cell the shape covers, in sixteenths."""
    radius = 8 * RADIUS[size] * scale  # lengths are eighths of a pixel
    side = CELL_PIXELS * scale
    point = 2 * np.arange(4 * side) + 1 - 4 * side
    y, x = np.meshgrid(point, point, indexing="ij")
    far, tall, wide = x * x + y * y, abs(y), abs(x)
    inside = {
        "circle": far <= radius**2,
        "ring": (far <= radius**2) & (far >= (5 * radius // 8) ** 2),
        "square": np.maximum(tall, wide) <= 7 * radius // 8,
        "triangle": (y <= 7 * radius // 8) & (2 * wide <= y + radius),
        "cross": (np.maximum(tall, wide) <= radius) & (np.minimum(tall, wide) <= 3 * radius // 8),
    }[shape]
    points = inside.reshape(side, 4, side, 4)
    covered: Int16[ndarray, "y x"] = points.sum(axis=(1, 3)).astype(np.int16)
    return covered


@lru_cache(maxsize=8192)
def written(digit: str, size: str, number: int, for_tests: bool, scale: int = 1) -> Int16[ndarray, "y x"]:
    """The same for a handwritten digit: the ink of one of its scans. `number` may be any; it wraps around."""
    known = scans(digit, for_tests)
    side, cell = DIGIT_SIDE[size] * scale, CELL_PIXELS * scale
    before = (cell - side) // 2
    after = cell - side - before
    return np.pad(resized(known[number % len(known)], side), (before, after))


def _covered(scene: Scene, thing: Thing, scale: int) -> Int16[ndarray, "y x"]:
    if thing.shape not in DIGITS:
        return coverage(thing.shape, thing.size, scale)
    number = key("handwriting", scene.seed, thing.cell) >> 16
    return written(thing.shape, thing.size, number, scene.is_kept_for_tests, scale)


def render_many(scenes: list[Scene], scale: int = 1) -> UInt8[ndarray, "n y x c"]:
    """The pictures of many scenes, in order.

    Args:
        scale: 1 for 48 x 48 pixels, which the encoder reads; 2 for 96 x 96 of the same scene.

    Shapes:
        returns  uint8[n 48 48 3], or uint8[n 96 96 3]

    Raises:
        CourseError: another scale.
    """
    if scale not in SCALES:
        raise CourseError(f"There is no scale {scale!r}; choose one of {', '.join(map(str, SCALES))}.")
    side, cell_side = PICTURE_SIZE * scale, CELL_PIXELS * scale
    canvas = np.empty((len(scenes), side, side, 3), dtype=np.int16)
    for picture, scene in zip(canvas, scenes, strict=True):
        draws = Draws("picture", scene.seed)
        background = 60 + draws.below(81)
        picture[:] = background
        for thing in scene.things:
            bits = draws.word()
            top, left = (
                cell_side * cell + scale * ((bits >> shift) % (2 * MOST_JITTER + 1) - MOST_JITTER)
                for cell, shift in ((thing.row, 8), (thing.column, 20))
            )
            paint = np.array(PAINT[thing.colour], dtype=np.int16)
            paint = paint + _SHADE[[(bits >> shift) & 255 for shift in (32, 40, 48)]]
            cover = _covered(scene, thing, scale)
            # A shape never leaves its cell: what the jitter pushes over the edge of the board is empty.
            y, x = (slice(max(0, start), min(side, start + cell_side)) for start in (top, left))
            cover = cover[y.start - top : y.stop - top, x.start - left : x.stop - left, None]
            picture[y, x] += (paint - background) * cover // 16
    grain = random_bytes(np.array([scene.seed for scene in scenes], dtype=np.uint64), canvas[0].size)
    canvas += _GRAIN[grain].reshape(canvas.shape)
    return canvas.clip(0, 255).astype(np.uint8)


def render(scene: Scene, scale: int = 1) -> UInt8[ndarray, "y x c"]:
    """The picture of one scene.

    Shapes:
        returns  uint8[48 48 3], or uint8[96 96 3] at scale 2
    """
    picture: UInt8[ndarray, "y x c"] = render_many([scene], scale)[0]
    return picture
