"""Words <-> ids. One list of words serves the encoder's text tower and the language model.

Four words are signs: `<pad>` fills a row up and is always masked; `<image>` stands where a picture goes;
`<start>` and `<end>` open and close a caption, and `<end>` closes an answer. The order of the words is part
of the trained backbones: new words go to the end, and the manifest keeps the list's hash.
"""

import hashlib
from collections.abc import Iterable, Sequence

from course_lib.errors import CourseError
from course_lib.microworld.scenes import COLOURS, COLUMNS, DIGITS, ROWS, SHAPES, SIZES

SIGNS = ("<pad>", "<image>", "<start>", "<end>")
PLURALS = {
    "circle": "circles",
    "square": "squares",
    "triangle": "triangles",
    "cross": "crosses",
    "ring": "rings",
}
NUMBERS = DIGITS[:5]
# Words that mean nothing until a picture beside them says what: for learning a word from an example.
MADE_UP = (
    *("dax", "wug", "blick", "toma", "fep", "zorp", "gazzer", "koba"),
    *("lirp", "mib", "nooz", "pim", "quib", "rusk", "sarn", "tulver"),
    *("vash", "welk", "yom", "zib", "brame", "clorp", "dreem", "flug"),
    *("gleb", "hurv", "jatt", "krel", "losk", "morp", "nalt", "prag"),
)
WORDS = (
    *SIGNS,
    *("a", "the", "and", "is", "there", "what", "where", "how", "many", "?"),
    *("colour", "shape", "size", "thing", "things"),
    *SIZES,
    *COLOURS,
    *SHAPES,
    *PLURALS.values(),
    *ROWS,
    *COLUMNS,
    *NUMBERS,
    *("yes", "no"),
    *DIGITS[5:],
    *("digit", "digits", "of", "above", "below", "check", "if"),
    *("this", "picture", "which", "way", "does", "go", "come", "when", "up", "down", "nowhere"),
    *MADE_UP,
)


class Vocabulary:
    """The words of the micro-world.

    `ids["red"]` is the id of a word and `words[5]` the word of an id.
    """

    def __init__(self) -> None:
        self.words: tuple[str, ...] = WORDS
        self.ids: dict[str, int] = {word: index for index, word in enumerate(WORDS)}
        self.pad_id, self.image_id, self.start_id, self.end_id = (self.ids[sign] for sign in SIGNS)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """The ids of a sentence whose words and signs stand apart: `"what colour is the ring ?"`.

        Raises:
            CourseError: a word that the micro-world does not know.
        """
        try:
            return [self.ids[word] for word in text.split()]
        except KeyError as unknown:
            raise CourseError(
                f"The micro-world has no word {unknown}; it knows {len(self)}, see Vocabulary().words, "
                'and signs stand apart: "... the ring ?".'
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence of some ids."""
        return " ".join(self.words[index] for index in ids)

    def rows(self, texts: Sequence[str], width: int) -> list[list[int]]:
        """Sentences as rows of one width, filled up with `<pad>` on the right.

        Raises:
            CourseError: a sentence has more words than the width.
        """
        rows = [self.encode(text) for text in texts]
        longest = max(map(len, rows), default=0)
        if longest > width:
            raise CourseError(
                f"A sentence of {longest} words does not fit a row of {width}; give a wider row."
            )
        return [row + [self.pad_id] * (width - len(row)) for row in rows]

    @property
    def sha256(self) -> str:
        """Names this list of words in this order."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()
