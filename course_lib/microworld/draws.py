"""Dice that depend on a seed and on nothing else.

numpy promises the same stream of random numbers from one version to the next only for its raw bits, not for
what `Generator` makes of them. The micro-world must be the same for every learner and every grader, so it
throws its own dice: SplitMix64, a counter and three multiplications, in integers from end to end.

Axes in this file:
    n  streams (one for each seed)    m  bytes of one stream

Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators, OOPSLA.
"""

import zlib
from collections.abc import Sequence
from typing import TypeVar, no_type_check

import numpy as np
from jaxtyping import UInt8, UInt64
from numpy import ndarray

T = TypeVar("T")

_WORD = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)


def key(*parts: int | str) -> int:
    """One 64-bit number for a path such as `("scenes", "train", 0)`; other paths give unrelated numbers."""
    state = 0
    for part in parts:
        number = zlib.crc32(part.encode()) + (1 << 32) if isinstance(part, str) else part
        state = _mix((state + _STEP + (number & _WORD)) & _WORD)
    return state


@no_type_check  # for beartype, not for mypy: no shapes here, and tests throw these dice a million times
class Draws:
    """A stream of random choices, wholly determined by its key.

    Args:
        parts: numbers or words that name the stream, for instance `Draws("questions", seed, 7)`.
    """

    def __init__(self, *parts: int | str) -> None:
        self._state = key(*parts)

    def word(self) -> int:
        """The next 64 random bits."""
        self._state = (self._state + _STEP) & _WORD
        return _mix(self._state)

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit - 1`, each as likely."""
        return (self.word() >> 16) % limit

    def choose(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[self.below(len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """The options in random order."""
        mixed = list(options)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.below(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, in random order."""
        return self.shuffled(options)[:count]


def random_bytes(seeds: UInt64[ndarray, " n"], count: int) -> UInt8[ndarray, "n m"]:
    """`count` random bytes for each seed, all at once: what a picture's grain is made of.

    Shapes:
        seeds    uint64[n]
        returns  uint8[n m]   m == count
    """
    counter = np.arange(1, -(-count // 8) + 1, dtype=np.uint64) * np.uint64(_STEP)
    word = seeds[:, None] + counter[None, :]  # wraps around at 2**64, which is meant
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word = word ^ (word >> np.uint64(31))
    stream: UInt8[ndarray, "n m"] = word.astype("<u8").view(np.uint8)[:, :count]
    return stream
