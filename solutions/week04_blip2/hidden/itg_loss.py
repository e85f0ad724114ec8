"""Hidden checks of itg_loss. The writer is a stand-in: this exercise is about what it is asked and taught.

Ids are drawn from 0 up, so that no id means padding, and padding holds ids like any others.

Axes in this file:
    b  pairs      t  text tokens      v  visual tokens
"""

import torch

from course_lib.blip2_stage1 import itg_loss
from course_lib.checking import claim, expect, expect_different, expect_same

REFERENCE = itg_loss

N_WORDS = 19
WRITE_ID = N_WORDS - 1  # no drawn word has it
SIZES = {"n_words": N_WORDS, "d_visual": 10, "d_model": 8}
B, T, V = 4, 7, 5


def writers(subject, reference, draw):
    """The same stand-in on both sides, with weights that make it sure of many of its words."""
    ours, theirs = (side.build_stand_in("tiny_writer", **SIZES) for side in (subject, reference))
    weights = draw.weights_like(theirs.parameters(), std=1.0)
    for writer in (ours, theirs):
        writer.load(weights)
    return ours, theirs


def words(draw, *shape):
    return draw.integers(0, WRITE_ID, *shape)


def pairs(draw, b=B, t=T, shortest=2):
    """Texts of different lengths; the longest fills its row."""
    lengths = torch.randperm(t - shortest, generator=draw.generator)[: b - 1] + shortest
    lengths = torch.cat([lengths, torch.tensor([t])])[torch.randperm(b, generator=draw.generator)]
    return draw.normal(b, V, SIZES["d_visual"]), words(draw, b, t), torch.arange(t) < lengths[:, None]


@claim(
    "itg_loss",
    "Each real word behind the first token is learned once, from what stands before it.",
    weight=2,
)
def each_word_is_learned_from_what_stands_before_it(subject, reference, draw):
    for b, t in ((B, T), (3, 9), (1, 6)):
        ours, theirs = writers(subject, reference, draw)
        given = (*pairs(draw, b, t), WRITE_ID, 0.0)
        expect_same(
            subject(ours, *given),
            reference(theirs, *given),
            look="The logits at place p say the word at p + 1. Write one short text twice, one above the "
            "other: what goes in, and what should come out. Which places have a target, how many, and over "
            "what is the mean taken?",
        )


@claim("itg_loss", "The writer finds write_id in the first place, and the text's own words in all others.")
def write_id_stands_in_the_first_place_alone(subject, reference, draw):
    ours, theirs = writers(subject, reference, draw)
    visual, ids, keep = pairs(draw)
    before = subject(ours, visual, ids, keep, WRITE_ID, 0.0)
    other = torch.cat([(ids[:, :1] + draw.integers(1, WRITE_ID, B, 1)) % WRITE_ID, ids[:, 1:]], dim=1)
    expect_same(
        subject(ours, visual, other, keep, WRITE_ID, 0.0),
        before,
        look="Only the first token, [CLS], was changed. Does the writer still see it, or is it learned?",
    )
    while True:
        sign = draw.integer(0, WRITE_ID)
        right = reference(theirs, visual, ids, keep, sign, 0.0)
        if float((right - reference(theirs, visual, ids, keep, WRITE_ID, 0.0)).abs()) > 0.01:
            break
    after = subject(ours, visual, ids, keep, sign, 0.0)
    look = (
        "Another write_id should be noticed at every place. In which place do you put it, and in which only?"
    )
    expect_different(after, before, look=look)
    expect_same(after, right, look=look)


@claim("itg_loss", "Padding is not learned: neither what stands in it, nor how much there is of it.")
def padding_is_not_learned(subject, reference, draw):
    ours, theirs = writers(subject, reference, draw)
    visual, ids, keep = pairs(draw, shortest=1)
    before = subject(ours, visual, ids, keep, WRITE_ID, 0.0)
    garbage = torch.where(keep, ids, words(draw, B, T))
    look = (
        "True in keep means real. A target counts when the word that is to be said is real. Which row of "
        "keep belongs to the targets, the one of the places that say or of the places that are said?"
    )
    expect_same(subject(ours, visual, garbage, keep, WRITE_ID, 0.0), before, look=look)
    wider = torch.cat([ids, words(draw, B, 3)], dim=1)
    expect_same(
        subject(ours, visual, wider, torch.cat([keep, keep.new_zeros(B, 3)], dim=1), WRITE_ID, 0.0),
        before,
        look=f"Three more columns of padding change the loss. Are they counted in the mean? {look}",
    )
    expect_same(before, reference(theirs, visual, ids, keep, WRITE_ID, 0.0), look=look)


@claim("itg_loss", "A text of one word is learned: its only word is both its first and its last.")
def a_text_of_one_word_is_learned(subject, reference, draw):
    ours, theirs = writers(subject, reference, draw)
    visual, ids, keep = pairs(draw)
    short = torch.arange(T) < 2
    for given in ((visual, ids[:, :2], keep[:, :2]), (visual, ids, short.expand(B, T))):
        expect_same(
            subject(ours, *given, WRITE_ID, 0.0),
            reference(theirs, *given, WRITE_ID, 0.0),
            look="Here every text is [CLS] and one word. From what is that word said, and is there exactly "
            "one target a row? Behind the sign to write, the first word is learned; so is the last.",
        )


@claim("itg_loss", "A share of the target, smoothing, is spread evenly over all words; 0.1 unless said.")
def smoothing_is_spread_over_all_words(subject, reference, draw):
    ours, theirs = writers(subject, reference, draw)
    given = (*pairs(draw), WRITE_ID)
    for smoothing in ((), (0.0,), (float(draw.uniform(0.2, 0.4, 1)),)):
        expect_same(
            subject(ours, *given, *smoothing),
            reference(theirs, *given, *smoothing),
            look="F.cross_entropy has an argument for it, which takes care of padding as well. Is smoothing "
            "handed to it, and is the right word one of the words that get a share?",
        )


@claim("itg_loss", "The picture learns from what is said of it.")
def the_picture_learns(subject, reference, draw):
    ours, theirs = writers(subject, reference, draw)
    given = (*pairs(draw), WRITE_ID, 0.0)
    pull = draw.uniform(1.0, 2.0, 1)[0]
    mine = subject.gradients(ours, *given, cotangent=pull).inputs[0]
    right = reference.gradients(theirs, *given, cotangent=pull).inputs[0]
    look = "Writing is what teaches the queries to read. Is something detached, or run under torch.no_grad()?"
    expect(mine is not None, seen="no gradient arrives at the pictures", look=look)
    expect_different(mine, torch.zeros_like(right), look=look)
    expect_same(mine, right, look=f"The gradient that arrives at the pictures differs. {look}")
