"""Hidden checks of sample_negatives. What is drawn has no right answer, but a right distribution.

How these checks judge chance. A table of similarities is put to the function CALLS times, each time with
another seed, and one kind of event is counted: "the most alike of the others was drawn", say. A right
function gives independent draws, each with a probability that is known exactly, so Hoeffding's inequality
bounds how far the share of the events in n draws can be from its expectation:

    P(|share - expected| >= margin) <= 2 exp(-2 n margin ** 2)

`margin(n)` is the distance at which the right hand side is FALSE_ALARM = 1e-8. With n = 40 * 61 = 2,440 it is
0.0626. There are 6 such shares below and 2 in the public checks, which also ask that 40 pairs of about equal
chance are all met in 100 calls (once in 2e10 times they are not). So a right function loses marks by bad luck
less than once in ten million gradings.

What is wrong is much further away. For 300 drawn tables, the distance of each misconception's share from the
right one was computed exactly, in whichever of the two shares it is larger:

                                   smallest    mean
    the_hardest                        .453    .675
    uniform                            .519    .586
    least_alike                        .602    .669
    softmax_over_the_other_axis        .199    .306
    both_along_the_rows                .491    .588
    temperature_again                  .412    .620
    temperature_undone                 .498    .562
    one_of_the_five_hardest            .249    .331
    logits_as_weights                  .482    .549
    the_neighbour                      .472    .586

A misconception that is two margins away, .125, or more, is missed as rarely as a right function is blamed.

Axes in this file:
    b  pairs: pictures in rows, texts in columns      n  draws
"""

import math

import torch

from course_lib.blip2_stage1 import sample_negatives
from course_lib.checking import claim, expect, expect_equal, expect_raises, expect_same, expect_tensor

REFERENCE = sample_negatives

B, CALLS, FALSE_ALARM = 61, 40, 1e-8
TEXTS, PICTURES = 0, 1


def margin(n):
    """How far a share of n independent events may be from its expectation: Hoeffding, two-sided."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n))


def ask(subject, logits, seeds):
    """One reply for each seed, with the two rows of numbers found to be whole, in range and never the own."""
    b = len(logits)
    call = {"op": "call", "target": subject.name, "args": (logits,), "kwargs": {}}
    replies = subject.several(*({**call, "seed": seed} for seed in seeds))
    return [_two_rows(next(replies).get("value"), b) for _ in seeds]


def _two_rows(value, b):
    expect(
        isinstance(value, (tuple, list)) and len(value) == 2,
        seen=f"a {type(value).__name__} instead of two tensors",
        look="Return a text for each picture and a picture for each text: two tensors.",
    )
    for row in value:
        expect_tensor(
            row, (b,), look="One number for each picture, and one for each text: two tensors of [b]."
        )
        expect(
            not row.is_floating_point() and row.dtype != torch.bool,
            seen=f"numbers of type {row.dtype}",
            look="They are to be used as indices. Are they the drawn places, or their probabilities?",
        )
        expect(
            bool(((row >= 0) & (row < b)).all()),
            seen=f"numbers from {int(row.min())} to {int(row.max())} where there are {b} pairs",
            look="Each number is a column, or a row, of the table.",
        )
        own = int((row == torch.arange(b)).sum())
        expect(
            own == 0,
            seen=f"{own} of {b} drew their own",
            look="The own one is no wrong one. Which logit does softmax turn into exactly 0? And if the own "
            "one was taken out of the row, do the later columns still have their old numbers?",
        )
    return [row.long() for row in value]


def seeds(draw, calls=CALLS):
    return draw.integers(0, 1 << 62, calls).tolist()


def table(draw, b=B, hubs=1.3):
    """Pairs are alike; besides, some pictures are like all texts, and some texts like all pictures."""
    rows, columns = draw.normal(b, 1, std=hubs), draw.normal(1, b, std=hubs)
    return draw.normal(b, b, std=1.6) + rows + columns + 5 * torch.eye(b)


def shares(logits):
    """What a softmax over the others gives, one row for each that draws."""
    others = logits.double().masked_fill(torch.eye(len(logits), dtype=torch.bool), -torch.inf)
    return others.softmax(dim=1)


def expect_shares(drawn, logits, who):
    """Draws against a softmax over each row: the most alike of the others, and all but the first five.

    Args:
        drawn: int[n b], one row for each call.
        logits: float[b b], those who draw in rows.
    """
    right = shares(logits)
    order = right.argsort(dim=1, descending=True)
    for what, places, few, many in (
        ("the most alike of the others", order[:, :1], "Is the softmax taken over the right axis?", HARDEST),
        ("one that is not among the five most alike", order[:, 5:], ALWAYS_HARD, TOO_EASY),
    ):
        event = torch.zeros_like(right).scatter(1, places, 1.0)
        seen = float(event[torch.arange(len(right)), drawn].mean())
        expected = float((event * right).sum(dim=1).mean())
        allowed = margin(drawn.numel())
        expect(
            abs(seen - expected) <= allowed,
            seen=f"{who} drew {what} in {seen:.1%} of {drawn.numel():,} draws (allowed: "
            f"{expected - allowed:.1%} to {expected + allowed:.1%})",
            look=few if seen < expected else many,
        )


HARDEST = (
    "The hardest is to come often, not always. Is it drawn (torch.multinomial), or picked (argmax)? And the "
    "logits were divided by the temperature already: is it done again?"
)
ALWAYS_HARD = "Easy ones are to come now and then, too. Is each of the others given its share of the softmax?"
TOO_EASY = (
    "The more alike, the likelier. Do the probabilities come from a softmax over each row of the table, for "
    "whoever draws, and are they large where the logits are large?"
)


@claim(
    "sample_negatives",
    "A picture draws its wrong text with the probabilities of a softmax over the others.",
    weight=2,
)
def texts_are_drawn_by_likeness(subject, reference, draw):
    logits = table(draw)
    drawn = torch.stack([reply[TEXTS] for reply in ask(subject, logits, seeds(draw))])
    expect_shares(drawn, logits, "pictures")


@claim(
    "sample_negatives", "A text draws its wrong picture likewise, from its own column of the table.", weight=2
)
def pictures_are_drawn_by_likeness(subject, reference, draw):
    logits = table(draw)
    drawn = torch.stack([reply[PICTURES] for reply in ask(subject, logits, seeds(draw))])
    expect_shares(drawn, logits.T, "texts")


@claim("sample_negatives", "Never the own one, however alike it is, and however unlike the others are.")
def the_own_one_is_never_drawn(subject, reference, draw):
    two = draw.normal(2, 2)
    for reply in ask(subject, two, seeds(draw, 3)):
        for row in reply:
            expect_same(row, torch.tensor([1, 0]), look="Of two, the other one is the only wrong one.")
    for own, others in ((400.0, 0.0), (0.0, -300.0), (-9.0, 0.0)):
        logits = draw.normal(23, 23) + others
        ask(subject, logits.fill_diagonal_(own), seeds(draw, 8))


@claim("sample_negatives", "Logits of hundreds, as a small temperature gives them, are no trouble.")
def a_small_temperature_is_no_trouble(subject, reference, draw):
    b = 19
    texts = draw.permutation(b)
    while bool((texts == torch.arange(b)).any()):
        texts = draw.permutation(b)
    # One of the others is ahead by 150: the chance of any other draw is below 1e-60.
    logits = draw.normal(b, b)
    logits[torch.arange(b), texts] += 150
    for place, wanted in ((TEXTS, texts), (PICTURES, texts.argsort())):
        high, low = (ask(subject, logits + shift, seeds(draw, 3)) for shift in (300, -300))
        for reply in high + low:
            expect_same(
                reply[place],
                wanted,
                look="One of the others is so far ahead that it takes the whole softmax. Does exp overflow, "
                "or is the temperature undone?",
            )


@claim("sample_negatives", "Everyone draws alone, and every call draws anew.")
def everyone_draws_alone(subject, reference, draw):
    logits = table(draw, hubs=0.0)
    logits = (logits + logits.T) / 2  # so that pictures and texts draw from the same shares
    replies = ask(subject, logits, seeds(draw))
    drawn = torch.stack([torch.stack(reply) for reply in replies])  # n 2 b
    right = shares(logits)
    by_chance = float((right**2).sum(dim=1).mean())
    n = CALLS // 2 * B  # neighbours in pairs, so that all of them are independent
    for what, alike, look in (
        (
            "a text and its picture drew the same number",
            drawn[::2, TEXTS] == drawn[::2, PICTURES],
            "Two draws are needed, one for each direction. Is one row returned twice, or none drawn?",
        ),
        (
            "two calls drew the same",
            drawn[::2, TEXTS] == drawn[1::2, TEXTS],
            "Where does the chance come from? A generator that is seeded inside the function draws the same "
            "for ever.",
        ),
    ):
        seen = float(alike.double().mean())
        expect(
            seen <= by_chance + margin(n),
            seen=f"{what} in {seen:.1%} of {n:,} cases (allowed, by chance: {by_chance + margin(n):.1%})",
            look=look,
        )


@claim("sample_negatives", "The table itself is left as it was: the contrastive loss still needs it.")
def the_table_is_left_alone(subject, reference, draw):
    logits = table(draw, b=17)
    expect_equal(
        subject.changed_inputs(logits),
        [],
        name="the list of arguments written into",
        look="fill_diagonal_ and masked_fill_ end in an underscore: they write into the caller's table.",
    )
    ask(subject, logits, seeds(draw, 12))


@claim("sample_negatives", "A batch of one is a ValueError: it has no wrong pair.", weight=0.5)
def a_batch_of_one_is_refused(subject, reference, draw):
    expect_raises(
        lambda: subject(draw.normal(1, 1)),
        "ValueError",
        mentions=(1,),
        look="Where everything is masked, softmax gives NaN. Refuse before that, and name the batch's size.",
    )
