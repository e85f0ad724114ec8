"""Hidden checks of itc_loss: laws that one mistake breaks at a time, then everything at once.

Each law is put so that as little else as possible can break it. Where the temperature is not asked about it
is 1, where smoothing is not it is 0, where lengths are not they are 1, and a table of cosines that equals its
transpose does not tell the rows from the columns.

Axes in this file:
    b  pairs      q  queries of a picture      e  width in which pictures and texts are compared
"""

import math

import torch
import torch.nn.functional as F

from course_lib.blip2_stage1 import itc_loss
from course_lib.checking import claim, expect, expect_different, expect_raises, expect_same, expect_tensor

REFERENCE = itc_loss

B, Q, E = 5, 3, 8


def pairs(draw, b=B, q=Q, e=E):
    """Pictures and texts of many lengths."""
    return draw.normal(b, q, e, std=1.7), draw.normal(b, e, std=0.6)


def directions(draw, b=B):
    """Pictures of one query each, and texts; all of length 1."""
    pictures, texts = pairs(draw, b, 1)
    return F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)


def echoes(draw):
    """Pictures whose only query says what their text says: the table equals its transpose."""
    _, texts = directions(draw)
    return texts[:, None].clone(), texts


def temperature(draw):
    """A tensor as it is learned, where t, 1 / t, exp(t) and 0.07 are four different numbers."""
    return draw.uniform(0.12, 0.4, 1)[0]


def loss(side, *given):
    return expect_tensor(side(*given), (), look="A loss is one number. Is the mean taken over the batch?")


@claim("itc_loss", "A picture is as near to a text as the one query that comes closest to it.", weight=1.5)
def the_nearest_query_decides(subject, reference, draw):
    look = "Is the largest of the q cosines taken, for each picture and each text anew?"
    # At right angles: each picture has a query for its own text and one for the next text, and a stray one.
    texts = torch.linalg.qr(draw.normal(E, E)).Q[: B + 1]
    stray = texts[B].expand(B, E)
    texts = texts[:B]
    pictures = torch.stack([stray, texts.roll(-1, dims=0), texts], dim=1)
    order = draw.permutation(3)
    sure = math.log(2 * math.e + B - 2) - 1
    expect_same(loss(subject, pictures[:, order], texts, 1.0, 0.0), torch.tensor(sure), look=look)
    # All texts have positive entries, so a query whose entries are all negative is nobody's nearest.
    pictures, texts = draw.normal(B, Q, E).abs(), draw.uniform(0.2, 1.0, B, E)
    without = loss(subject, pictures, texts, 1.0, 0.0)
    expect_same(
        loss(subject, torch.cat([-draw.normal(B, 2, E).abs(), pictures], dim=1), texts, 1.0, 0.0),
        without,
        look=f"Two more queries that point away from every text are nearest to none and cannot count. {look}",
    )
    expect_different(
        loss(subject, torch.cat([pictures, texts[:, None]], dim=1), texts, 1.0, 0.0),
        without,
        look="A query that says what the text says makes the pair easy. Do all the queries take part?",
    )


@claim("itc_loss", "Only directions count: however long a query or a text is, the loss stays the same.")
def length_does_not_matter(subject, reference, draw):
    (pictures, texts), heat = pairs(draw), temperature(draw)
    before = loss(subject, pictures, texts, heat)
    look = (
        "Every query and every text is brought to length 1 before anything is compared. Over which axis does "
        "F.normalize take the length, if you do not say?"
    )
    expect_same(loss(subject, pictures * draw.uniform(0.3, 4.0, B, Q, 1), texts, heat), before, look=look)
    expect_same(loss(subject, pictures, texts * draw.uniform(0.3, 4.0, B, 1), heat), before, look=look)
    # Directions do count: a picture that says what its text says, and one that says what the next text says.
    pictures, texts = echoes(draw)
    expect_different(
        loss(subject, pictures.roll(1, dims=0), texts, 1.0),
        loss(subject, pictures, texts, 1.0),
        least=0.05,
        look="Pictures and texts were paired the wrong way, and the loss is the same. Are both read at all?",
    )


@claim("itc_loss", "The cosines are divided by the temperature that was given.")
def the_temperature_divides(subject, reference, draw):
    pictures, texts = echoes(draw)
    for heat in (temperature(draw), 0.13, 3.0):
        expect_same(
            loss(subject, pictures, texts, heat, 0.0),
            loss(reference, pictures, texts, heat, 0.0),
            look="A small temperature sharpens: cosine / temperature. Is it multiplied, is it exp(t), or is "
            "it 0.07 whatever was given?",
        )
    expect_same(
        loss(subject, pictures, texts, 1e7, 0.0),
        torch.tensor(math.log(B)),
        look="At an endless temperature all pairs are as likely. What is the loss then?",
    )


@claim("itc_loss", "A picture seeks its text, and a text its picture; the loss is the mean of the two.")
def both_sides_seek(subject, reference, draw):
    pictures, texts = directions(draw)
    one_text, one_picture = texts[:1].expand(B, E), pictures[:1].expand(B, 1, E)
    look = (
        "The diagonal is right along the rows and along the columns. Is a cross-entropy taken of the table "
        "and one of its transpose, and are they averaged?"
    )
    for given in ((pictures, one_text), (one_picture, texts), (pictures, texts)):
        expect_same(loss(subject, *given, 1.0, 0.0), loss(reference, *given, 1.0, 0.0), look=look)


@claim("itc_loss", "A share `smoothing` of the target lies on all texts alike; it is 0.1 if nobody says.")
def smoothing_is_a_share(subject, reference, draw):
    pictures, texts = echoes(draw)
    share = float(draw.uniform(0.3, 0.7, 1))
    none, some, all_ = (loss(subject, pictures, texts, 1.0, s).double() for s in (0.0, share, 1.0))
    expect_different(
        all_, none, look="With smoothing 1 no text is more right than another. Is `smoothing` handed on?"
    )
    expect_same(
        some,
        (1 - share) * none + share * all_,
        look="The target is a mixture: 1 - smoothing on the right one, smoothing spread over all b of them.",
    )
    expect_same(
        loss(subject, pictures, texts, 1.0, share),
        loss(reference, pictures, texts, 1.0, share),
        look="F.cross_entropy has an argument for it. Do both directions get it?",
    )
    expect_same(
        loss(subject, pictures, texts, 1.0),
        loss(subject, pictures, texts, 1.0, 0.1),
        look="What is the smoothing when the caller gives none?",
    )


@claim(
    "itc_loss", "All of it together; and pictures, texts and the temperature all learn from it.", weight=1.5
)
def everything_together_learns(subject, reference, draw):
    given = (*pairs(draw), temperature(draw))
    one = torch.tensor(1.0)
    expect_same(
        loss(subject, *given),
        loss(reference, *given),
        look="Cosines, the nearest query, the temperature, both directions, the smoothing: which of them is "
        "missing? The other checks say.",
    )
    mine = subject.gradients(*given, cotangent=one)
    right = reference.gradients(*given, cotangent=one)
    for name, got, wanted in zip(
        ("pictures", "texts", "temperature"), mine.inputs, right.inputs, strict=True
    ):
        look = f"Is {name} detached, or turned into a plain number on the way?"
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_same(got, wanted, look=f"The gradient that arrives at {name} differs. {look}", tolerance=1e-4)


@claim("itc_loss", "Another number of pictures than of texts is a ValueError that names both.", weight=0.5)
def unequal_numbers_are_refused(subject, reference, draw):
    for b, k in ((7, 4), (4, 9)):
        (pictures, _), (_, texts) = pairs(draw, b), pairs(draw, k)
        expect_raises(
            lambda p=pictures, t=texts: subject(p, t, 0.2),
            "ValueError",
            mentions=(b, k),
            look="The diagonal of a table that is not square is no list of right pairs. Compare the two "
            "numbers before anything else.",
        )
