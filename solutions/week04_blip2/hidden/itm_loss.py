"""Hidden checks of itm_loss. The judge is a stand-in: this exercise is about what it is asked.

Axes in this file:
    b  pairs      t  text tokens      v  visual tokens
"""

import torch

from course_lib.blip2_stage1 import itm_loss
from course_lib.checking import claim, expect, expect_different, expect_same

REFERENCE = itm_loss

SIZES = {"n_words": 23, "d_visual": 10, "d_model": 8}
B, T, V = 5, 7, 4


def judges(subject, reference, draw, fixed=None):
    """The same stand-in on both sides, with weights that make it sure of many of its answers."""
    ours, theirs = (side.build_stand_in("tiny_matcher", **SIZES) for side in (subject, reference))
    weights = {**draw.weights_like(theirs.parameters(), std=1.5), **(fixed or {})}
    for judge in (ours, theirs):
        judge.load(weights)
    return ours, theirs


def pairs(draw, b=B):
    """Texts of b different lengths, so that a text under another one's keep is another text."""
    lengths = torch.randperm(T, generator=draw.generator)[:b] + 1
    keep = torch.arange(T) < lengths[:, None]
    return draw.normal(b, V, SIZES["d_visual"]), draw.integers(0, SIZES["n_words"], b, T), keep


def wrong(draw, b=B):
    """For each its wrong text and its wrong picture: never its own, and never both of the same pair."""
    own = torch.arange(b)
    while True:
        text, picture = ((own + draw.integers(1, b, b)) % b for _ in range(2))
        if b == 2 or bool((text != picture).all()):
            return text, picture


@claim(
    "itm_loss",
    "The loss is the mean cross-entropy over right pairs, wrong texts and wrong pictures.",
    weight=2,
)
def right_pairs_wrong_texts_and_wrong_pictures_are_judged(subject, reference, draw):
    for b in (B, 2, 3):
        ours, theirs = judges(subject, reference, draw)
        given = (*pairs(draw, b), *wrong(draw, b))
        expect_same(
            subject(ours, *given),
            reference(theirs, *given),
            look="Write the 3b pairs of a small batch as a list: which picture, which text, does it match? "
            "Is each of your rows in that list, with that target, and no row besides?",
        )


@claim("itm_loss", "One pair in three matches: so a judge who always says the same pays a known price.")
def one_pair_in_three_matches(subject, reference, draw):
    certain = draw.uniform(0.5, 1.0, 1) * torch.tensor([-1.0, 1.0])
    given = (*pairs(draw), *wrong(draw))
    look = (
        "This judge gives every pair the same two logits. What is the cross-entropy of a pair that matches, "
        "what of one that does not, and how many are there of each?"
    )
    for bias in (certain, -certain):
        ours, theirs = judges(
            subject, reference, draw, {"judge.weight": torch.zeros(2, 8), "judge.bias": bias}
        )
        same = subject(ours, *given)
        expect_same(same, reference(theirs, *given), look=look)
        while True:
            awake, right = judges(subject, reference, draw, {"judge.bias": bias})
            if float((reference(right, *given) - same).abs()) > 0.01:
                break
        expect_different(
            subject(awake, *given),
            same,
            look="A judge who looks at the pairs costs as much as one who does not. Is it asked at all?",
        )


@claim("itm_loss", "Other wrong texts give another loss, and so do other wrong pictures.")
def both_kinds_of_wrong_numbers_are_used(subject, reference, draw):
    ours, theirs = judges(subject, reference, draw)
    given = pairs(draw)
    text, picture = wrong(draw)
    before, right_before = subject(ours, *given, text, picture), reference(theirs, *given, text, picture)
    for kind in ("wrong_text", "wrong_picture"):
        while True:
            other = wrong(draw)
            numbers = (other[0], picture) if kind == "wrong_text" else (text, other[1])
            right_after = reference(theirs, *given, *numbers)
            if float((right_after - right_before).abs()) > 0.01:
                break
        after = subject(ours, *given, *numbers)
        look = (
            f"Only {kind} was changed. It picks a partner from the batch, one for each pair. From which of "
            "the tensors do you take it, and what stands beside it in the same row?"
        )
        expect_different(after, before, look=look)
        expect_same(after, right_after, look=look)


@claim("itm_loss", "What stands in the padding of a text changes nothing, whichever picture it is beside.")
def padding_of_a_wrong_text_changes_nothing(subject, reference, draw):
    ours, theirs = judges(subject, reference, draw)
    visual, ids, keep = pairs(draw)
    numbers = wrong(draw)
    garbage = torch.where(keep, ids, draw.integers(0, SIZES["n_words"], B, T))
    clean, dirty = subject(ours, visual, ids, keep, *numbers), subject(ours, visual, garbage, keep, *numbers)
    expect_same(
        dirty,
        clean,
        look="True in keep means that a token is real. When a text moves to another row, does its row of "
        "keep move with it, and does it stay with a text that does not move?",
    )
    other = torch.where(keep, (ids + draw.integers(1, SIZES["n_words"], B, 1)) % SIZES["n_words"], ids)
    expect_same(
        subject(ours, visual, other, keep, *numbers),
        reference(theirs, visual, other, keep, *numbers),
        look="With other words in the texts the loss is not right. Is keep handed on, True = real?",
    )


@claim("itm_loss", "The same pairs twice cost what they cost once: a mean over pairs, not a sum.")
def the_same_pairs_twice_cost_the_same(subject, reference, draw):
    ours, theirs = judges(subject, reference, draw)
    given, (text, picture) = pairs(draw), wrong(draw)
    once = subject(ours, *given, text, picture)
    twice = subject(
        ours,
        *(torch.cat([one, one]) for one in given),
        torch.cat([text, text + B]),
        torch.cat([picture + B, picture]),
    )
    expect_same(twice, once, look="A larger batch is no larger mistake. Over what is the mean taken?")
    expect_same(
        once,
        reference(theirs, *given, text, picture),
        look="The mean does not depend on the size of the batch, but it is another one. Does every pair "
        "weigh the same, 1 / 3b?",
    )


@claim("itm_loss", "A picture learns from each of the pairs it is in.")
def pictures_learn_from_every_pair(subject, reference, draw):
    ours, theirs = judges(subject, reference, draw)
    given = (*pairs(draw), *wrong(draw))
    pull = draw.uniform(1.0, 2.0, 1)[0]
    mine = subject.gradients(ours, *given, cotangent=pull).inputs[0]
    right = reference.gradients(theirs, *given, cotangent=pull).inputs[0]
    look = "A wrong pair teaches too. Is something detached, or judged under torch.no_grad()?"
    expect(mine is not None, seen="no gradient arrives at the pictures", look=look)
    expect_different(mine, torch.zeros_like(right), look=look)
    expect_same(mine, right, look=f"The gradient that arrives at the pictures differs. {look}")
