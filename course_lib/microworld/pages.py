"""A page: four scenes, two by two, for what low resolution cannot show.

At full size a page has 96 x 96 pixels, and its four tiles of 48 x 48 are pictures of the encoder's own kind.
Shrunk to 48 x 48, as a model without tiling must see it, a cell is eight pixels wide and a handwritten digit
four or
five: the encoder reads it about as well as you do.

Axes in this file:
    n  tiles, row by row    y  pixel rows    x  pixel columns    c  red, green, blue
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from einops import rearrange, reduce
from jaxtyping import UInt8
from numpy import ndarray

from course_lib.errors import CourseError
from course_lib.microworld.pictures import PICTURE_SIZE, render_many
from course_lib.microworld.scenes import Scene, draw_scenes

TILES = 4


@no_type_check  # as in draws.py
@dataclass(frozen=True)
class Page:
    """Four scenes: top left, top right, bottom left, bottom right."""

    scenes: tuple[Scene, ...]


def draw_pages(count: int, split: str = "train", seed: int = 0, digits: bool = True) -> list[Page]:
    """Pages of one split: all four scenes are of that split. See `scenes.draw_scenes`."""
    scenes = draw_scenes(TILES * count, split, seed, digits)
    return [Page(tuple(scenes[TILES * n : TILES * (n + 1)])) for n in range(count)]


def render_page(page: Page) -> UInt8[ndarray, "y x c"]:
    """A page at full size.

    Shapes:
        returns  uint8[96 96 3]
    """
    whole: UInt8[ndarray, "y x c"] = rearrange(
        render_many(list(page.scenes)), "(row column) y x c -> (row y) (column x) c", row=2
    )
    return whole


def tiles(picture: UInt8[ndarray, "y x c"]) -> UInt8[ndarray, "n y2 x2 c"]:
    """Cut a picture into tiles the encoder can read, row by row.

    Shapes:
        picture  uint8[y x 3]         y and x are multiples of 48
        returns  uint8[n 48 48 3]

    Raises:
        CourseError: its sides are no multiples of 48.
    """
    if picture.shape[0] % PICTURE_SIZE or picture.shape[1] % PICTURE_SIZE:
        raise CourseError(
            f"A picture of {picture.shape[0]} x {picture.shape[1]} pixels cannot be cut into tiles of "
            f"{PICTURE_SIZE} x {PICTURE_SIZE}; pad it to multiples of {PICTURE_SIZE} first."
        )
    cut: UInt8[ndarray, "n y2 x2 c"] = rearrange(
        picture, "(row y) (column x) c -> (row column) y x c", y=PICTURE_SIZE, x=PICTURE_SIZE
    )
    return cut


def shrunk(picture: UInt8[ndarray, "y x c"], factor: int = 2) -> UInt8[ndarray, "y2 x2 c"]:
    """A picture at a fraction of its size: each pixel is the mean of `factor` x `factor`."""
    means = reduce(picture.astype(np.int64), "(y fy) (x fx) c -> y x c", "sum", fy=factor, fx=factor) // (
        factor * factor
    )
    small: UInt8[ndarray, "y2 x2 c"] = means.astype(np.uint8)
    return small
