"""Digits as people wrote them: 1,797 scans of 8 x 8 pixels, sixteen shades of ink.

The scans are those of scikit-learn's `load_digits`, the test set of the UCI collection *Optical Recognition
of Handwritten Digits* (Alpaydin and Kaynak 1998, CC BY 4.0), shipped as one small file so that a notebook
needs nothing but the course. One scan in four is kept for test scenes: nobody, encoder included, has trained
on that handwriting.

Axes in this file:
    n  scans of one digit    y x  pixels
"""

from functools import cache

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from course_lib import shipped
from course_lib.microworld.scenes import DIGITS

FILE = "digits.safetensors"
SCAN_SIDE = 8
MOST_INK = 16
KEPT_FOR_TESTS = 4  # one in four


@cache
def scans(digit: str, for_tests: bool) -> Int16[ndarray, "n y x"]:
    """All scans of one digit, either those for training scenes or those for test scenes; ink from 0 to 16.

    Raises:
        DataError: the file with the scans is missing or is not the one the manifest names.
    """
    held = shipped.tensors(FILE)
    own = held["scans"].numpy()[held["digits"].numpy() == DIGITS.index(digit)]
    is_kept = np.arange(len(own)) % KEPT_FOR_TESTS == KEPT_FOR_TESTS - 1
    chosen: Int16[ndarray, "n y x"] = own[is_kept == for_tests].astype(np.int16)
    return chosen


def resized(scan: Int16[ndarray, "y x"], side: int) -> Int16[ndarray, "y2 x2"]:
    """A scan at another size, by linear interpolation in whole numbers: the same bytes on every machine."""
    # Positions are counted in 1 / (2 side) of a scan's pixel; beyond the scan's edge there is no ink.
    unit = 2 * side
    at = (2 * np.arange(side) + 1) * SCAN_SIDE - side
    first, part = at // unit, at % unit
    padded = np.pad(scan.astype(np.int64), 1)
    rows = padded[first + 1] * (unit - part)[:, None] + padded[first + 2] * part[:, None]
    both = rows[:, first + 1] * (unit - part) + rows[:, first + 2] * part
    ink: Int16[ndarray, "y2 x2"] = ((both + unit * unit // 2) // (unit * unit)).astype(np.int16)
    return ink
