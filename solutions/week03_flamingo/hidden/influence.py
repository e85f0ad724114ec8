"""Hidden checks of influence: the two tables, against the reference and against what a small Flamingo shows.

Axes in this file:
    b  rows of the batch      t  text tokens      n  pictures of a row      v  visual tokens of one
"""

import torch
from einops import rearrange
from torch import nn

from course_lib.checking import claim, expect, expect_keys, expect_same, expect_tensor
from course_lib.flamingo import Flamingo
from course_lib.gated_block import gated_block
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.media import influence, media_index, media_mask

REFERENCE = influence

KEYS = ("reads", "reaches")
D_TEXT, D_VISUAL, V = 16, 10, 3
IMAGE_ID, END_ID = 1, 2


def any_index(draw, b=3, t=11, n=4, letters="tttI"):
    """What media_index makes of rows that begin with text; the last of the n pictures is in no row.

    With E among the letters, some text stands behind the end of a document that has shown a picture.
    """
    kinds = {"t": 5, "I": IMAGE_ID, "E": END_ID}
    while True:
        drawn = [[kinds[letters[k]] for k in draw.integers(0, len(letters), t).tolist()] for _ in range(b)]
        index = media_index(torch.tensor(drawn), IMAGE_ID, END_ID)
        counts = index.amax(dim=1).tolist()
        good = max(counts) == n - 1 and min(counts) > 0 and len(set(counts)) > 1 and not index[:, 0].any()
        if good and ("E" not in letters or bool(behind_an_end(index).any())):
            return index


def behind_an_end(index):
    return (index == 0) & (index.cummax(dim=1).values > 0)


def tables(side, index, n):
    found = expect_keys(side(index, n), KEYS, look="Return a dict with these two tables.")
    for key in KEYS:
        expect_tensor(
            found[key],
            (*index.shape, n),
            look=f"{key} says for each text token and each picture yes or no: bool[b t n].",
        )
    return found


def measured(draw, index, n):
    """The truth: change one picture at a time, and see what moves behind one block, and in the logits."""
    b, t = index.shape
    sizes = LanguageSizes(n_words=11, d_model=D_TEXT, n_layers=2, n_heads=2, d_hidden=24)
    blocks = nn.ModuleList(gated_block(D_TEXT, D_VISUAL, n_heads=3, d_hidden=20, d_head=6) for _ in range(2))
    model = Flamingo(LanguageModel(sizes), blocks).double().eval()
    for parameter in model.parameters():  # the gates too, so that they are open
        parameter.data = draw.uniform(0.2, 0.8, *parameter.shape).double() * draw.integers(
            0, 2, *parameter.shape
        ).mul(2).sub(1)
    text, pictures = draw.normal(b, t, D_TEXT).double(), draw.normal(b, n, V, D_VISUAL).double()
    mask = media_mask(index, torch.ones(b, n, V, dtype=torch.bool))
    keep, positions = torch.ones(b, t, dtype=torch.bool), torch.arange(t).expand(b, -1)

    @torch.no_grad()
    def outputs(pictures):
        visual = rearrange(pictures, "b n v d -> b (n v) d")
        return blocks[0](text, visual, mask), model(visual, mask, text, keep, positions)

    before = outputs(pictures)
    moved = {key: torch.zeros(b, t, n, dtype=torch.bool) for key in KEYS}
    for number in range(n):
        changed = pictures.clone()
        changed[:, number] += draw.normal(b, V, D_VISUAL)
        for key, old, new in zip(KEYS, before, outputs(changed), strict=True):
            moved[key][:, :, number] = (new - old).abs().amax(dim=2) > 1e-9
    return moved


@claim("influence", "A token reads the picture of its index, and no other.")
def a_token_reads_the_picture_of_its_index(subject, reference, draw):
    index = any_index(draw)
    expect_same(
        tables(subject, index, 4)["reads"],
        tables(reference, index, 4)["reads"],
        look="reads is about cross-attention alone: one picture for each token, none where the index is 0.",
    )


@claim("influence", "A picture reaches whoever read it, and every token behind.")
def a_picture_reaches_its_readers_and_all_behind(subject, reference, draw):
    index = any_index(draw, b=2, t=13, n=5)
    expect_same(
        tables(subject, index, 5)["reaches"],
        tables(reference, index, 5)["reaches"],
        look="A token that has read a picture hands it on to every later token, through self-attention. "
        "Is the reader itself reached? Is the last token of the row, from the very first picture?",
    )


@claim(
    "influence",
    "Both tables are what one measures in a small Flamingo, changing one picture at a time.",
    weight=2,
)
def the_tables_are_what_one_measures(subject, reference, draw):
    for letters in ("tttI", "ttttIIE"):
        index = any_index(draw, b=2, t=12, n=4, letters=letters)
        truth, found = measured(draw, index, 4), tables(subject, index, 4)
        looks = {
            "reads": "We changed one picture and looked at the output of one gated block. Which tokens can "
            "move there, where no token hears another?",
            "reaches": "We changed one picture and looked at the logits, behind every layer's "
            "self-attention. Which tokens can have heard of it by then?",
        }
        for key in KEYS:
            expect_same(found[key], truth[key], look=looks[key])


@claim("influence", "A picture reaches nobody before the first token that reads it; behind it, somebody.")
def nothing_reaches_back(subject, reference, draw):
    index = any_index(draw)
    reaches = tables(subject, index, 4)["reaches"] != 0
    look = "Self-attention is causal: a token hears the ones before it, never the ones behind."
    for row, numbers in enumerate(index):
        for picture in range(int(numbers.max())):
            first = int((numbers == picture + 1).nonzero()[0])
            expect(
                bool(reaches[row, first:, picture].any()),
                seen=f"picture {picture + 1} reaches nobody",
                look="Its readers at least can be changed by it.",
            )
            early = int(reaches[row, :first, picture].sum())
            expect(early == 0, seen=f"a picture reaches {early} tokens before it was shown", look=look)


@claim("influence", "Behind the end of a document no picture is read, and the earlier ones still reach.")
def an_end_stops_the_reading_and_not_the_reaching(subject, reference, draw):
    index = any_index(draw, b=3, t=14, n=4, letters="tttIIE")
    behind = behind_an_end(index)
    found, right = tables(subject, index, 4), tables(reference, index, 4)
    for key in KEYS:
        expect_same(
            found[key][behind],
            right[key][behind],
            look="There the index falls back to 0: nothing is read. But the mask of cross-attention has no "
            "say in self-attention. Whom does a token hear there?",
        )


@claim("influence", "Each row of a batch has its own tokens and pictures.")
def rows_do_not_mix(subject, reference, draw):
    index = any_index(draw, b=4)
    found = tables(subject, index, 4)
    for row in range(4):
        right = tables(reference, index[row : row + 1], 4)
        for key in KEYS:
            expect_same(
                found[key][row : row + 1],
                right[key],
                look="No token hears a token of another row. Along which axis do you go?",
            )


@claim("influence", "A picture without a reader reaches nobody, and both tables are boolean.")
def a_picture_without_a_reader_reaches_nobody(subject, reference, draw):
    n = draw.integer(6, 9)
    index = any_index(draw, n=4)
    found = tables(subject, index, n)
    for key in KEYS:
        expect(
            found[key].dtype == torch.bool,
            seen=f"{key} of type {found[key].dtype}",
            look="The tables say yes or no: bool[b t n].",
        )
        shown = int(index.max())
        expect(
            bool(found[key][:, :, :shown].any()), seen=f"{key} says no everywhere", look="Does nobody read?"
        )
        spare = int(found[key][:, :, shown:].sum())
        expect(
            spare == 0,
            seen=f"{key} says yes {spare} times for pictures that no token reads",
            look="A batch is filled up with pictures that no row shows. Who could carry them on?",
        )
