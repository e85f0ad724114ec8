"""A Flamingo at work: rows of words with `<image>` tags and pictures go in, next words come out.

The parts are handed over, whoever wrote them: a Flamingo around the frozen language model, a media index, a
media mask, perhaps a resampler. What happens around them:

    patch tokens     b n v d      of every picture of a row, in the order of the tags
    + position, merged 2 x 2      as for every bridge (`course_lib.seeing.Eyes`)
    YOUR RESAMPLER   (b n) q d2   if there is one
    one row          b s d2       with s == n q
    YOUR MASK        b t s        of YOUR INDEX of the ids: True = keep
    YOUR FLAMINGO    b t w        reads the row of words, its blocks read the pictures

A row is a beginning, which is causal, and asides after it. Each aside sees the beginning and itself, never
another aside, and goes on from where the beginning ended; so eight questions about one picture cost one row.

Axes in this file:
    b  rows    t  tokens of the longest row    n  pictures of a row    v  patch tokens of a picture
    q  visual tokens of a picture    s  visual tokens of a row    d d2  their width, before and after merging
    a  answers of a row    w  words of the vocabulary
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import ShapeError
from course_lib.microworld import Vocabulary
from course_lib.seeing import Eyes, Trainee
from course_lib.world import MicroWorld

Piece = tuple[str, bool]  # some words, and whether they are learned


@dataclass(frozen=True)
class Rows:
    """Rows of ids, laid out.

    Shapes:
        ids        int[b t]      padded on the right
        answer     int[b t]      which answer of its row a token belongs to, from 1; 0 where it is not learned
        sees       bool[b t t]   True where token i may see token j
        positions  int[b t]      an aside's go on from the beginning's
    """

    ids: Int[Tensor, "b t"]
    answer: Int[Tensor, "b t"]
    sees: Bool[Tensor, "b t t"]
    positions: Int[Tensor, "b t"]

    def rows(self, index: Int[Tensor, " m"]) -> "Rows":
        """Some of the rows."""
        return Rows(self.ids[index], self.answer[index], self.sees[index], self.positions[index])


def lay_out(
    rows: Sequence[tuple[Sequence[Piece], Sequence[Sequence[Piece]]]], vocabulary: Vocabulary
) -> Rows:
    """Rows of ids from words.

    Args:
        rows: each a beginning and asides, in pieces: words, tags among them, and whether learned.
        vocabulary: of the words.
    """
    laid = [_laid(beginning, asides, vocabulary) for beginning, asides in rows]
    longest = max(len(row) for row in laid)
    padding = (vocabulary.pad_id, 0, -1, 0)
    table = torch.tensor([row + [padding] * (longest - len(row)) for row in laid])
    ids, answer, part, positions = table.unbind(dim=2)
    together = (part[:, :, None] == part[:, None, :]) | (part[:, None, :] == 0)
    return Rows(ids, answer, together & torch.ones(longest, longest, dtype=torch.bool).tril(), positions)


def _laid(
    beginning: Sequence[Piece], asides: Sequence[Sequence[Piece]], vocabulary: Vocabulary
) -> list[tuple[int, int, int, int]]:
    """Each token's id, answer, part (0 is the beginning, -1 padding) and position."""
    laid: list[tuple[int, int, int, int]] = []
    begun = answers = 0
    for part, pieces in enumerate([beginning, *asides]):
        position = begun
        for words, is_learned in pieces:
            answers += is_learned
            for word in vocabulary.encode(words):
                laid.append((word, answers * is_learned, part, position))
                position += 1
        begun = position if part == 0 else begun
    return laid


class InterleavedModel(Trainee):
    """Eyes, perhaps a resampler, and a Flamingo whose language model stays frozen.

    Args:
        world: the frozen pieces.
        flamingo: called as flamingo(visual, media_mask, embeds, sees, positions). Its part `language_model`
            is frozen here; its hooks stay, so give each Flamingo a copy of its own.
        media_index: of int[b t], ids, and the tag's id, int[b t]: the number of the picture a token reads.
        media_mask: of that index and bool[b n q] (True = real), bool[b t s] (True = keep).
        resampler: called on the merged patches of one picture, b v d to b q d.
        merge: neighbouring patches put side by side in each direction.
    """

    def __init__(
        self,
        world: MicroWorld,
        flamingo: nn.Module,
        media_index: Callable[..., Tensor],
        media_mask: Callable[..., Tensor],
        resampler: nn.Module | None = None,
        merge: int = 2,
    ) -> None:
        super().__init__()
        self.eyes = Eyes(world.grid, world.d_visual, merge)
        self.resampler = resampler
        self.flamingo = flamingo
        self.media_index, self.media_mask = media_index, media_mask
        self.world = world
        self.frozen.requires_grad_(False)
        self.train()

    @property
    def frozen(self) -> nn.Module:
        """The language model."""
        found = self.flamingo.language_model
        assert isinstance(found, nn.Module)
        return found

    @property
    def gated(self) -> nn.ModuleList:
        """The blocks."""
        found = self.flamingo.blocks
        assert isinstance(found, nn.ModuleList)
        return found

    def visual(self, features: Float[Tensor, "b n v d"]) -> Float[Tensor, "b n q d2"]:
        """What the blocks read of each picture."""
        tokens: Tensor = self.eyes(rearrange(features, "b n v d -> (b n) v d"))
        if self.resampler is not None:
            tokens = self.resampler(tokens)
        each: Tensor = rearrange(tokens, "(b n) q d -> b n q d", b=len(features))
        return each

    def forward(self, rows: Rows, features: Float[Tensor, "b n v d"]) -> Float[Tensor, "b t w"]:
        """Logits of the word that follows each word.

        Raises:
            ShapeError: a row has more tags than pictures.
        """
        image_id = self.world.vocabulary.image_id
        tags = int((rows.ids == image_id).sum(1).max())
        if tags > features.shape[1]:
            raise ShapeError(
                f"a row has {tags} tags and {features.shape[1]} pictures; give a picture for every tag."
            )
        visual = self.visual(features)
        real = torch.ones(visual.shape[:3], dtype=torch.bool)  # True = keep: every picture is there
        keep = self.media_mask(self.media_index(rows.ids, image_id), real)
        embeds = self.world.language_model.model.embed_tokens(rows.ids)
        flat = rearrange(visual, "b n q d -> b (n q) d")
        logits: Tensor = self.flamingo(flat, keep, embeds, rows.sees, rows.positions)
        return logits


def row_loss(logits: Float[Tensor, "b t w"], rows: Rows) -> Float[Tensor, ""]:
    """Cross-entropy of the learned tokens, each told from the token before it."""
    learned = rows.answer > 0
    told = logits[torch.arange(len(logits))[:, None], previous(rows)]  # b t w: what was said about each token
    return F.cross_entropy(told[learned], rows.ids[learned])


def previous(rows: Rows) -> Int[Tensor, "b t"]:
    """Where the token stands that tells each token: the one before it, as the layout has it.

    An aside's first token is told by the beginning's last. A row's first is told by itself, and is not to
    be learned.
    """
    earlier = rows.sees & (rows.positions[:, None, :] < rows.positions[:, :, None])
    return torch.where(earlier, torch.arange(rows.ids.shape[1]), 0).amax(dim=2)


def right_answers(logits: Float[Tensor, "b t w"], rows: Rows) -> Bool[Tensor, "b a"]:
    """True where every word of a row's answer is the likeliest, given those before it.

    Rows need the same number of answers.
    """
    wrong = logits.argmax(-1).gather(1, previous(rows)) != rows.ids
    count = int(rows.answer.max())
    return torch.stack([~(wrong & (rows.answer == k)).any(dim=1) for k in range(1, count + 1)], dim=1)
