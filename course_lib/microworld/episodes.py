"""Episodes: pictures with text between them, from which a made-up word can be learned.

    [picture of a red ring]  this ? dax   [picture of a blue cross]  this ? wug   [a red circle]  this ? ...

Here "dax" says red. The word means nothing anywhere else: each episode draws its words anew, so the answer
cannot be remembered, only read from the pictures before. Each word is bound to one value of one property,
colour or shape; the picture asked about shares that property with exactly one of the examples, and the other
one with none, so that there is one right answer.

Source: Tsimpoukelli et al. 2021, Multimodal few-shot learning with frozen language models, arXiv:2106.13884.
"""

from dataclasses import dataclass
from typing import no_type_check

from course_lib.errors import CourseError
from course_lib.microworld.draws import Draws, key
from course_lib.microworld.scenes import COLOURS, GRID, SHAPES, SIZES, UNSEEN_PAIRS, Scene, Thing
from course_lib.microworld.vocabulary import MADE_UP

BINDINGS = ("colour", "shape")
MOST_WORDS = 4  # examples with different words in one episode
ASKED = "this ?"


@no_type_check  # as in draws.py
@dataclass(frozen=True)
class Episode:
    """Examples, each a scene with one thing and its word, then a scene whose word is asked for.

    `by` is the property that binds; `scenes` and `words` run in parallel, the last pair is the question and
    its answer.
    """

    by: str
    scenes: tuple[Scene, ...]
    words: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The right word."""
        return self.words[-1]


def _scene(draws: Draws, colour: str, shape: str) -> Scene:
    thing = Thing(draws.choose(SIZES), colour, shape, draws.below(GRID), draws.below(GRID))
    return Scene((thing,), draws.word())


def draw_episode(n_words: int, seed: int, by: str = "colour", shots: int = 1) -> Episode:
    """One episode.

    Args:
        n_words: how many words, and so how many examples of one shot; a guess is right once in `n_words`.
        seed: another seed gives another episode.
        by: what a word says: "colour" or "shape".
        shots: examples of each word. With 0 there is the question alone, and nothing to learn from.

    Raises:
        CourseError: another binding, or more words than `MOST_WORDS`.
    """
    if by not in BINDINGS:
        raise CourseError(f"There is no binding {by!r}; choose one of {', '.join(BINDINGS)}.")
    if not 1 <= n_words <= MOST_WORDS:
        raise CourseError(f"An episode has 1 to {MOST_WORDS} words, and {n_words} were asked for.")
    draws = Draws("episode", key(seed), n_words, by, shots)
    bound = draws.sample(COLOURS if by == "colour" else SHAPES, n_words)
    words = draws.sample(MADE_UP, n_words)

    def seen(value: str, avoid: set[str]) -> tuple[str, str]:
        """A colour-and-shape pair with this value that bridges train on, its other value not in `avoid`."""
        pairs = [(c, s) for c in COLOURS for s in SHAPES if (c, s) not in UNSEEN_PAIRS]
        mine = [pair for pair in pairs if value in pair]
        return draws.choose([pair for pair in mine if not avoid & set(pair)] or mine)

    examples = []
    for _ in range(shots):
        # An example may be in any other value, so that nothing but the bound one is common to all of a
        # word's.
        examples += [(seen(value, set()), word) for value, word in zip(bound, words, strict=True)]
    examples = draws.shuffled(examples)
    target = draws.below(n_words)
    others = {value for pair, _ in examples for value in pair} - {bound[target]}
    asked = (seen(bound[target], others), words[target])
    scenes = tuple(_scene(draws, *pair) for pair, _ in (*examples, asked))
    return Episode(by, scenes, tuple(word for _, word in (*examples, asked)))
