"""Hidden checks of merge_image_tokens.

Axes in this file:
    b  rows of the batch      n  pictures      v  visual tokens of one      s  positions of a merged row
"""

import torch

from course_lib.checking import (
    claim,
    expect,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
)
from course_lib.image_tokens import merge_image_tokens

REFERENCE = merge_image_tokens

KEYS = ("embeds", "keep", "positions", "labels")
IMAGE_ID = -200
# More words than 200, so that -200 taken for a place counted from the end finds one, and nobody notices.
VOCABULARY, D, V = 211, 6, 3


def draw_batch(draw, pictures, image_id=IMAGE_ID, v=V):
    """Rows with so many pictures each; words before, between and after them. No two rows are equally long."""
    input_ids, labels, taken = [], [], set()
    for n in pictures:
        while True:
            pieces = [draw.integers(1, VOCABULARY, draw.integer(1, 6)) for _ in range(n + 1)]
            length = sum(map(len, pieces)) + n * v
            if length not in taken:
                break
        taken.add(length)
        ids = pieces[0]
        for piece in pieces[1:]:
            ids = torch.cat([ids, torch.tensor([image_id]), piece])
        # About a third of the words are a question, on which nothing is trained.
        targets = torch.where(draw.uniform(0, 1, len(ids)) < 0.3, torch.tensor(-100), ids)
        input_ids.append(ids)
        labels.append(torch.where(ids == image_id, draw.integers(1, VOCABULARY, len(ids)), targets))
    return {
        "input_ids": input_ids,
        "labels": labels,
        "features": draw.normal(sum(pictures), v, D),
        "embedding": draw.normal(VOCABULARY, D),
        "image_id": image_id,
    }


def merge(side, batch, look="Return a dict with these four."):
    return expect_keys(side(**batch), KEYS, look=look)


def everything_arrived(seen, reference, batch):
    """The positive control of other claims: each word and each visual token is somewhere in its row."""
    wanted = merge(reference, batch)
    embeds = expect_tensor(seen["embeds"], look="embeds is one tensor, b s d.")
    expect(
        embeds.dim() == 3 and len(embeds) == len(wanted["embeds"]) and embeds.shape[2] == D,
        seen=f"embeds of shape {tuple(embeds.shape)}",
        look="One row for each row of ids, one embedding for each position.",
    )
    for row, (mine, right, keep) in enumerate(zip(embeds, wanted["embeds"], wanted["keep"], strict=True)):
        gaps = (right[keep][:, None] - mine[None]).abs().amax(dim=2).amin(dim=1)
        lost = int((~(gaps < 1e-4)).sum())
        expect(
            lost == 0,
            seen=f"{lost} of {int(keep.sum())} words and visual tokens of row {row} are nowhere in it",
            look="First everything has to arrive, in its row and unchanged.",
        )


@claim(
    "merge_image_tokens",
    "Rows with 0, 1, 2 or 3 pictures: every word and every visual token stands in its place.",
    weight=2,
)
def words_and_visual_tokens_stand_in_order(subject, reference, draw):
    for pictures in ((1, 0, 2), (2, 1, 0, 3), (1,)):
        batch = draw_batch(draw, pictures)
        expect_in_place(
            merge(subject, batch),
            merge(reference, batch),
            look="Walk along one row by hand: words, a picture, words, the next picture, words. Is "
            "anything between or after the pictures lost, and is the placeholder itself gone?",
        )


def expect_in_place(seen, wanted, look):
    """Embeddings agree wherever there is no padding; what stands there is another check's claim."""
    embeds = expect_tensor(seen["embeds"], wanted["embeds"].shape, look=look)
    expect_same(embeds[wanted["keep"]], wanted["embeds"][wanted["keep"]], look=look)


@claim("merge_image_tokens", "Each picture goes to its own placeholder, and each word to its own place.")
def each_picture_goes_to_its_own_placeholder(subject, reference, draw):
    batch = draw_batch(draw, (1, 2, 1))
    plain, wanted = merge(subject, batch)["embeds"], merge(reference, batch)["embeds"]
    expect_tensor(plain, wanted.shape, look="How long is the longest row, once its pictures are in?")

    def expect_moves(what, changed, look):
        moved, right = (
            (merge(side, changed)["embeds"] - before).abs().amax(dim=2) > 1e-6
            for side, before in ((subject, plain), (reference, wanted))
        )
        expect(torch.equal(moved, right), seen=f"{what} shows at {_places(moved)}", look=look)

    for picture in range(4):
        features = batch["features"].clone()
        features[picture] += 1 + draw.uniform(0, 1, V, D)
        expect_moves(
            f"picture {picture} of 4",
            {**batch, "features": features},
            "The rows hold 1, 2 and 1 pictures, and pictures are counted over the batch. Which counter do "
            "you use, and does it start again at every row?",
        )
    embedding = batch["embedding"].clone()
    embedding[int(batch["input_ids"][1][0])] += 1 + draw.uniform(0, 1, D)
    expect_moves(
        "a word's embedding",
        {**batch, "embedding": embedding},
        "A word's embedding belongs where the word stands, and nowhere else.",
    )


@claim(
    "merge_image_tokens",
    "Labels stay with their words; visual tokens and padding count for nothing.",
    weight=2,
)
def labels_stay_with_their_words(subject, reference, draw):
    for pictures in ((1, 2), (3, 1, 2)):
        batch = draw_batch(draw, pictures)
        seen = expect_tensor(merge(subject, batch)["labels"], look="labels is one tensor, b s.")
        expect(
            not seen.is_floating_point(),
            seen=f"labels of type {seen.dtype}",
            look="Labels are whole numbers.",
        )
        expect_same(
            seen,
            merge(reference, batch)["labels"],
            look="-100 at every visual token and at padding, whatever the placeholder's own label was. "
            "Every word keeps its label, unshifted: the language model's loss does the shifting.",
        )


@claim(
    "merge_image_tokens",
    "keep is True for words and visual tokens, and False for padding, on the right.",
    weight=2,
)
def keep_tells_padding_from_the_rest(subject, reference, draw):
    batch = draw_batch(draw, (3, 2, 1))
    seen, wanted = merge(subject, batch), merge(reference, batch)
    keep = expect_tensor(seen["keep"], wanted["keep"].shape, look="One True or False for every position.")
    expect(
        keep.dtype == torch.bool,
        seen=f"keep is of type {keep.dtype}",
        look="torch.bool, so that ~keep means padding.",
    )
    expect_same(
        keep,
        wanted["keep"],
        look="True = keep. A visual token is as real as a word; padding stands on the right.",
    )
    embeds = expect_tensor(seen["embeds"], wanted["embeds"].shape)
    expect_same(
        embeds[~keep],
        torch.zeros_like(embeds[~keep]),
        tolerance=0.0,
        look="Padding is zeros here, not the embedding of a word.",
    )
    empty = int((embeds[keep].abs().amax(dim=1) == 0).sum())
    expect(
        empty == 0, seen=f"{empty} kept positions are zeros too", look="Does everything that is kept arrive?"
    )


@claim(
    "merge_image_tokens",
    "Positions count words and visual tokens alike, from 0, and are 0 at padding.",
    weight=1.5,
)
def positions_count_everything_that_is_kept(subject, reference, draw):
    for pictures in ((3, 1), (1, 2, 1)):
        batch = draw_batch(draw, pictures)
        seen = expect_tensor(merge(subject, batch)["positions"], look="positions is one tensor, b s.")
        expect(
            not seen.is_floating_point() and seen.dtype != torch.bool,
            seen=f"positions of type {seen.dtype}",
            look="Positions are whole numbers.",
        )
        expect_same(
            seen,
            merge(reference, batch)["positions"],
            look="Count after merging: a picture of 3 visual tokens takes 3 positions. Do you count on "
            "into padding?",
        )


@claim("merge_image_tokens", "A row comes out the same alone as among others.")
def a_row_is_the_same_alone(subject, reference, draw):
    pictures = (2, 0, 1)
    batch = draw_batch(draw, pictures)
    together, wanted = merge(subject, batch), merge(reference, batch)
    everything_arrived(together, reference, batch)
    first = 0
    for row, n in enumerate(pictures):
        one = {
            **batch,
            "input_ids": batch["input_ids"][row : row + 1],
            "labels": batch["labels"][row : row + 1],
            "features": batch["features"][first : first + n],
        }
        first += n
        alone = merge(subject, one)
        length = int(wanted["keep"][row].sum())
        for key in KEYS:
            expect_same(
                expect_tensor(alone[key], look=f"{key} is one tensor.")[0],
                expect_tensor(together[key], wanted[key].shape, look=f"{key} of three rows.")[row, :length],
                look=f"{key} of row {row} differ between a batch of one and a batch of three. What crosses "
                "from row to row? Alone, a row needs no padding.",
            )


@claim("merge_image_tokens", "The placeholder is never looked up, inside the vocabulary or outside of it.")
def the_placeholder_is_never_looked_up(subject, reference, draw):
    inside = draw.integer(1, VOCABULARY - 1)
    for image_id in (VOCABULARY + draw.integer(0, 9), inside, IMAGE_ID):
        batch = draw_batch(draw, (1, 2))
        # The text keeps away from the words that a placeholder might be mistaken for.
        near = torch.tensor([0, inside, VOCABULARY - 1, IMAGE_ID % VOCABULARY])
        spare = next(word for word in range(1, VOCABULARY) if word not in near)
        ids = [torch.where(torch.isin(row, near), spare, row) for row in batch["input_ids"]]
        ids = [torch.where(row == IMAGE_ID, image_id, row) for row in ids]
        batch = {**batch, "input_ids": ids, "image_id": image_id}
        seen = merge(subject, batch)
        everything_arrived(seen, reference, batch)
        # Rows of the table that are no word of this text may change as they like.
        words = torch.cat(ids)
        unused = ~torch.isin(torch.arange(VOCABULARY), words[words != image_id])
        embedding = batch["embedding"].clone()
        embedding[unused] += 1 + draw.uniform(0, 1, int(unused.sum()), D)
        again = merge(subject, {**batch, "embedding": embedding})
        expect_same(
            again["embeds"],
            seen["embeds"],
            tolerance=0.0,
            look=f"Words that stand nowhere in the text were changed, and the output moved. Is {image_id} "
            "embedded, as it is or clamped?",
        )


@claim("merge_image_tokens", "Pictures may stand first, last, next to each other, alone, or nowhere.")
def pictures_may_stand_anywhere(subject, reference, draw):
    def words(n):
        return draw.integers(1, VOCABULARY, n)

    here = torch.tensor([IMAGE_ID])
    rows = [
        torch.cat([here, words(2)]),
        torch.cat([words(4), here]),
        torch.cat([words(1), here, here, words(3)]),
        here,
    ]
    embedding = draw.normal(VOCABULARY, D)
    for input_ids, n in ((rows, 5), ([words(3), words(5), words(1)], 0)):
        batch = {
            "input_ids": input_ids,
            "labels": [draw.integers(1, VOCABULARY, len(row)) for row in input_ids],
            "features": draw.normal(n, V, D),
            "embedding": embedding,
            "image_id": IMAGE_ID,
        }
        expect_in_place(
            merge(subject, batch),
            merge(reference, batch),
            look=f"{n} pictures in {len(input_ids)} rows. Words may be missing before, between or after "
            "pictures: what do you do with an empty stretch?",
        )


@claim("merge_image_tokens", "Gradients arrive at every picture and at every word that is read.")
def gradients_arrive_at_pictures_and_words(subject, reference, draw):
    batch = draw_batch(draw, (1, 2))
    shape = expect_tensor(merge(subject, batch)["embeds"], look="embeds is one tensor, b s d.").shape
    # The same pull at every position: the gradient of a row then says how often that row was read.
    pull = draw.normal(shape[-1])
    mine = subject.gradients(**batch, cotangent=pull.expand(shape).clone(), of="embeds")
    words = torch.cat(batch["input_ids"])
    times = torch.bincount(words[words >= 0], minlength=VOCABULARY)
    # Whole numbers take no gradient; what remains is features and embedding, in this order.
    for name, got, right in zip(
        ("features", "embedding"),
        mine.inputs[-2:],
        (pull.expand(3, V, D), times[:, None] * pull),
        strict=True,
    ):
        expect(
            got is not None,
            seen=f"no gradient arrives at {name}",
            look="The bridge learns through this function. Is something detached, made into a list of "
            "numbers, or copied with torch.tensor?",
        )
        expect_same(
            got,
            right,
            look=f"The gradient of {name} differs. Is each visual token and each word read just once?",
        )


@claim("merge_image_tokens", "What it was given stays as it was.", weight=0.5)
def what_it_was_given_stays_as_it_was(subject, reference, draw):
    batch = draw_batch(draw, (1, 2))
    written = subject.changed_inputs(**batch)
    names = [*(["a row of input_ids"] * 2), *(["a row of labels"] * 2), "features", "embedding"]
    expect(
        not written,
        seen=f"written into: {', '.join(names[k] for k in written)}",
        look="The caller's tensors are read again in the next epoch. Assign into a copy.",
    )
    everything_arrived(merge(subject, batch), reference, batch)


@claim("merge_image_tokens", "Pictures too few or too many are a ValueError that names both numbers.")
def a_wrong_number_of_pictures_is_an_error(subject, reference, draw):
    batch = draw_batch(draw, (draw.integer(2, 4), 1, draw.integer(4, 7)))
    everything_arrived(merge(subject, batch), reference, batch)
    n = len(batch["features"])
    for given in (n - 1, n + draw.integer(1, 4), 0, 1):
        expect_raises(
            lambda given=given: subject(**{**batch, "features": draw.normal(given, V, D)}),
            "ValueError",
            mentions=[n, given],
            look=f"{n} placeholders and {given} pictures: one too many left over, or one shown to the wrong "
            "text, is worse than an error. Name both numbers.",
        )


def _places(moved):
    """Row and positions of what moved, in words."""
    found = [
        f"row {row}, positions {moved[row].nonzero()[:, 0].tolist()}"
        for row in range(len(moved))
        if moved[row].any()
    ]
    return "; ".join(found) or "no position"
