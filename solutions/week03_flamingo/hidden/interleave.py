"""Hidden checks of interleave.

A plan says for each document which of its chunks have a picture: (False, True) is words, then a picture with
its words.
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
from course_lib.interleave import interleave

REFERENCE = interleave

KEYS = ("ids", "keep", "labels")
IGNORED = -100
# None, one, two and three pictures; words without one before, between and after them.
PLANS = (
    ((False, True, False, False, True, False),),
    ((True, True), (False,), (False, True), (True, False, True, True)),
    ((True,), (True, False), (False, False)),
)


def signs(draw):
    """Three ids, all different, that no drawn word has."""
    names = ("image_id", "end_of_chunk_id", "pad_id")
    return dict(zip(names, draw.permutation(10)[:3].tolist(), strict=True))


def documents(draw, plan):
    """Documents of words from 10 up. No two are equally long, so that all rows but one are filled up."""
    while True:
        drawn = [
            [(has_picture, draw.integers(10, 90, draw.integer(1, 6))) for has_picture in chunks]
            for chunks in plan
        ]
        lengths = [sum(len(words) + 1 + has_picture for has_picture, words in chunks) for chunks in drawn]
        if len(set(lengths)) == len(lengths):
            return drawn


def laid_out(side, given, marks, look="Return a dict with these three."):
    return expect_keys(side(given, **marks), KEYS, look=look)


def both(subject, reference, given, marks):
    """The learner's rows and the right ones, equal in shape."""
    seen, wanted = laid_out(subject, given, marks), laid_out(reference, given, marks)
    for key in KEYS:
        expect_tensor(
            seen[key],
            wanted["ids"].shape,
            look="One row for each document, as long as the longest of them. Count one by hand: its words, "
            "a tag for each chunk with a picture, a sign for the end of every chunk.",
        )
    return seen, wanted


@claim("interleave", "With no, one, two or three pictures, every token stands in its place.", weight=2)
def tags_words_and_ends_stand_in_order(subject, reference, draw):
    for plan in PLANS:
        seen, wanted = both(subject, reference, documents(draw, plan), signs(draw))
        real = wanted["keep"]
        expect_same(
            seen["ids"][real],
            wanted["ids"][real],
            look="Walk along one document by hand: the tag, if there is a picture, then the words, then the "
            "sign. Is a chunk without a picture closed too, and the last one?",
        )


@claim("interleave", "Rows are filled up on the right, and keep is True where a token is real.")
def short_rows_are_filled_up_on_the_right(subject, reference, draw):
    for plan in PLANS[1:]:
        seen, wanted = both(subject, reference, documents(draw, plan), signs(draw))
        keep, real = seen["keep"], wanted["keep"]
        expect(
            keep.dtype == torch.bool, seen=f"keep is of type {keep.dtype}", look="torch.bool, True = keep."
        )
        expect_same(
            keep, real, look="Tags and signs are real tokens: kept. Padding is not, and stands on the right."
        )
        expect_same(seen["ids"][~real], wanted["ids"][~real], look="Which id fills a row up?")
        expect_same(seen["ids"][real], wanted["ids"][real], look="The padding is right. Are the tokens?")


@claim(
    "interleave", "A picture's words and the sign that ends them are learned, each in its place.", weight=2
)
def words_of_a_picture_are_learned_in_their_place(subject, reference, draw):
    for plan in PLANS:
        seen, wanted = both(subject, reference, documents(draw, plan), signs(draw))
        learned = wanted["labels"] != IGNORED
        expect_same(
            seen["labels"][learned],
            wanted["labels"][learned],
            look="A label stands where its token stands: the model shifts them itself, once. The sign is "
            "learned as well, for how else would the model know when to stop?",
        )


@claim("interleave", "Tags, padding and chunks without a picture are not learned, wherever they stand.")
def nothing_else_is_learned(subject, reference, draw):
    for plan in PLANS:
        given, marks = documents(draw, plan), signs(draw)
        seen, wanted = both(subject, reference, given, marks)
        for row, chunks in enumerate(given):
            kinds = _kinds(chunks, wanted["ids"].shape[1])
            for kind in dict.fromkeys(kinds):
                places = torch.tensor([one == kind for one in kinds])
                labels = seen["labels"][row, places]
                learned = int((labels != IGNORED).sum())
                if kind == "learned":
                    expect(learned > 0, seen="nothing at all is learned", look="Which labels are not -100?")
                else:
                    expect(
                        learned == 0,
                        seen=f"{learned} of {len(labels)} tokens that are {kind} have a label",
                        look="-100 wherever a picture cannot help: what is the label of such a token, and "
                        "from which chunk does it come?",
                    )


def _kinds(chunks, length):
    """What each place of a row is, in words."""
    kinds = []
    last = max((k for k, (has_picture, _) in enumerate(chunks) if has_picture), default=-1)
    for place, (has_picture, words) in enumerate(chunks):
        if has_picture:
            kinds += ["a tag", *["learned"] * (len(words) + 1)]
            continue
        before = not any(earlier for earlier, _ in chunks[:place])
        where = "before the first picture" if before else "between pictures" if place < last else "at the end"
        kinds += [f"of a chunk without a picture, {where}"] * (len(words) + 1)
    return kinds + ["padding"] * (length - len(kinds))


@claim("interleave", "The padding's id may be that of a word, or of the sign: places count, not ids.")
def the_padding_may_look_like_a_word(subject, reference, draw):
    for like in ("a word", "the sign"):
        given, marks = documents(draw, PLANS[1]), signs(draw)
        first = given[0][0][1]  # the words of a picture
        marks["pad_id"] = int(first[0]) if like == "a word" else marks["end_of_chunk_id"]
        seen, wanted = both(subject, reference, given, marks)
        for key in KEYS:
            expect_same(
                seen[key],
                wanted[key],
                look=f"Here the id that fills rows up is also that of {like}, as in many tokenisers. Do you "
                f"tell padding in {key} by its id, or by the length of the document?",
            )


@claim("interleave", "What is empty is refused with a ValueError that says which document and chunk.")
def what_is_empty_is_refused(subject, reference, draw):
    marks = signs(draw)
    good = documents(draw, PLANS[1])
    laid_out(subject, good, marks, look="Nothing is empty here: return a dict with these three.")
    look = "Name what is empty by its number, counted from 0: whoever reads it has many documents to search."
    number = draw.integer(4, 8)
    many = (good * 2)[:number]
    expect_raises(lambda: subject([], **marks), "ValueError", look="There are 0 documents: no row to return.")
    expect_raises(lambda: subject([*many, [], *good], **marks), "ValueError", mentions=[number], look=look)
    place = draw.integer(1, 4)
    nothing = torch.zeros(0, dtype=torch.long)
    for has_picture in (True, False):
        chunks = [*[(True, draw.integers(10, 90, 2))] * place, (has_picture, nothing)]
        expect_raises(
            lambda chunks=chunks: subject([*many, chunks, *good], **marks),
            "ValueError",
            mentions=[number, place],
            look=look,
        )


@claim("interleave", "What it was given stays as it was.", weight=0.5)
def what_it_was_given_stays_as_it_was(subject, reference, draw):
    given, marks = documents(draw, PLANS[1]), signs(draw)
    written = subject.changed_inputs(given, **marks)
    expect(
        not written,
        seen=f"written into the words of {len(written)} chunks",
        look="The caller's tensors are read again in the next epoch. Assign into a copy.",
    )
    laid_out(subject, given, marks)
