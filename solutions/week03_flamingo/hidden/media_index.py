"""Hidden checks of media_index. Everything is counted, so everything is exact.

Rows are written as letters: t for text, I for a tag, E for the sign that ends a document.
"""

import torch

from course_lib.checking import claim, expect, expect_same, expect_tensor
from course_lib.media import media_index

REFERENCE = media_index


def ids_of(draw, *rows, image_id, end_id=99):
    """Token ids for rows of letters; text is any id but the two."""
    text = draw.integers(10, 90, len(rows), len(rows[0]))
    letters = torch.tensor([[ord(letter) for letter in row] for row in rows])
    ids = torch.where(letters == ord("I"), image_id, text)
    return torch.where(letters == ord("E"), end_id, ids)


def any_row(draw, t, letters):
    return "".join(letters[draw.integer(0, len(letters))] for _ in range(t))


def places(rows, letter):
    return torch.tensor([[one == letter for one in row] for row in rows])


def numbered(subject, ids, *rest):
    """The learner's numbers; that they are whole is a claim of its own."""
    look = "One number for each token: int[b t]."
    return expect_tensor(subject(ids, *rest), ids.shape, look=look).long()


def expect_at(seen, wanted, where, look):
    """Equal at these places; the others are another check's claim."""
    expect_same(seen[where], wanted[where], look=look)


@claim(
    "media_index",
    "A token reads the picture of the latest tag, the token itself included: t I t t I t is 0 1 1 1 2 2.",
    weight=2,
)
def the_latest_tag_counts(subject, reference, draw):
    image_id = draw.integer(1, 9)
    for rows in (["tIttIt"], [any_row(draw, 13, "tttI") + "It" for _ in range(3)]):
        ids = ids_of(draw, *rows, image_id=image_id)
        expect_same(
            numbered(subject, ids, image_id),
            reference(ids, image_id),
            look="Walk along t I t t I t with a counter. When does it go up: at the tag, or behind it? And "
            "what does it show before the first tag?",
        )


@claim("media_index", "Text before the first tag reads none, and so does a row without a tag.")
def text_before_the_first_tag_reads_none(subject, reference, draw):
    image_id, before = draw.integer(1, 9), draw.integer(2, 6)
    rows = ["t" * before + "ItIt", "t" * (before + 4)]
    ids = ids_of(draw, *rows, image_id=image_id)
    seen = numbered(subject, ids, image_id)
    expect(
        bool((seen[0, before + 1 :] > 0).all()),
        seen="text behind a tag that reads none",
        look="Text behind the first tag does read a picture. Which?",
    )
    none = torch.zeros_like(ids)
    look = "Nothing has been shown yet. Which number says none, and is it the one that is there?"
    expect_same(seen[0, :before], none[0, :before], look=look)
    expect_same(seen[1], none[1], look=look)


@claim("media_index", "Tags in a row, a tag at the start and a tag at the end are pictures like any other.")
def every_tag_is_a_picture_of_its_own(subject, reference, draw):
    image_id = draw.integer(1, 9)
    rows = ["IttIIItI", "tIIttIII"]
    ids = ids_of(draw, *rows, image_id=image_id)
    expect_at(
        numbered(subject, ids, image_id),
        reference(ids, image_id),
        places(rows, "I"),
        look="Two tags side by side stand for two pictures, and each tag reads its own. What is the number "
        "of the second?",
    )


@claim("media_index", "Each row of a batch is counted on its own.")
def each_row_is_counted_on_its_own(subject, reference, draw):
    image_id = draw.integer(1, 9)
    rows = [any_row(draw, 5, "ttI") + tail for tail in ("ItI", "ttt", "tIt", "IIt")]
    ids = ids_of(draw, *rows, image_id=image_id)
    look = "A row in a batch gives what it gives alone. Along which axis do you count?"
    together = numbered(subject, ids, image_id)
    for row in range(len(ids)):
        expect_same(together[row : row + 1], reference(ids[row : row + 1], image_id), look=look)


@claim(
    "media_index", "Behind the sign that ends a document a token reads none, up to the next tag.", weight=2
)
def behind_the_end_nothing_is_read(subject, reference, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    for rows in (["tItEttIItEEtIt"], [any_row(draw, 11, "tttIIE") + "ItEttIt" for _ in range(3)]):
        ids = ids_of(draw, *rows, image_id=image_id, end_id=end_id)
        expect_at(
            numbered(subject, ids, image_id, end_id),
            reference(ids, image_id, end_id),
            places(rows, "t"),
            look="t I t E t t I t: the two tokens behind E belong to another document, which has shown "
            "nothing yet. From where on does text read again, and which picture?",
        )


@claim("media_index", "The sign itself still belongs to the document that it ends.")
def the_sign_itself_still_reads(subject, reference, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    rows = ["tItEtIttIEtt", "IEtEtttIttEE", "tEttIIEtttIE"]
    ids = ids_of(draw, *rows, image_id=image_id, end_id=end_id)
    expect_at(
        numbered(subject, ids, image_id, end_id),
        reference(ids, image_id, end_id),
        places(rows, "E"),
        look="The model writes the sign while it still looks at the picture. Is the document over at the "
        "sign, or behind it?",
    )


@claim("media_index", "The count goes on: the next document's first picture has the next number of the row.")
def the_count_goes_on_behind_an_end(subject, reference, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    rows = ["tIItEttItEIt", "EtItEItEIttI", "tItEEttIIttE"]
    ids = ids_of(draw, *rows, image_id=image_id, end_id=end_id)
    expect_at(
        numbered(subject, ids, image_id, end_id),
        reference(ids, image_id, end_id),
        places(rows, "I"),
        look="The number is a place among the row's pictures, whichever document shows them. Does your "
        "counter start again?",
    )


@claim("media_index", "Nothing ends unless end_id is given; given, it may be any id, 0 too.")
def an_end_is_what_end_id_says(subject, reference, draw):
    image_id = draw.integer(1, 9)
    rows = ["tItEttIt", "IEttItEt"]
    for end_id in (0, draw.integer(90, 99)):
        ids = ids_of(draw, *rows, image_id=image_id, end_id=end_id)
        expect_same(
            numbered(subject, ids, image_id),
            reference(ids, image_id),
            look="Without end_id there are no ends. Do you take some id for one?",
        )
        expect_same(
            numbered(subject, ids, image_id, end_id),
            reference(ids, image_id, end_id),
            look=f"With end_id={end_id} the row has an end. In Python 0 counts as false: how do you ask "
            "whether end_id was given?",
        )


@claim("media_index", "The ids are left as they were, and the numbers are whole.", weight=0.5)
def the_ids_are_left_as_they_were(subject, reference, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    ids = ids_of(draw, "tItEtIt", image_id=image_id, end_id=end_id)
    expect(
        not subject.changed_inputs(ids, image_id, end_id),
        seen="ids were overwritten",
        look="The caller still needs the ids. Which line writes into them?",
    )
    seen = expect_tensor(subject(ids, image_id, end_id), ids.shape)
    expect(
        not seen.is_floating_point() and seen.dtype != torch.bool,
        seen=f"numbers of type {seen.dtype}",
        look="Pictures are counted: int[b t], as the signature says.",
    )
    expect_same(
        seen.long()[:, :3], reference(ids, image_id, end_id)[:, :3], look="Is the count itself right?"
    )
