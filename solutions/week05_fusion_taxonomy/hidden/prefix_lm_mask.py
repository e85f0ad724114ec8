"""Hidden checks of prefix_lm_mask. Masks say True = keep: the token in the row may see that in the column.

What a padded token sees besides itself is nobody's business, so no check asks.

Axes in this file:
    b  rows    s  tokens    i j  a token that looks, a token looked at
"""

import torch

from course_lib.checking import claim, expect, expect_finite, expect_raises, expect_same, expect_tensor
from course_lib.fusion_masks import prefix_lm_mask

REFERENCE = prefix_lm_mask

B, S = 3, 8
SHAPE = "A table for each row of the batch: bool[b s s], who looks first, who is looked at second."


def fronts(draw, b=B, s=S):
    """bool[b s]: prefixes of different lengths in front, none empty, none the whole."""
    lengths = torch.stack([draw.permutation(s - 2)[:b] + 1]).view(b, 1)
    return torch.arange(s) < lengths


def anywhere(draw, b=B, s=S):
    """bool[b s]: a prefix in pieces, as two turns of a conversation have it."""
    is_prefix = draw.uniform(0, 1, b, s) < 0.5
    is_prefix[:, 0], is_prefix[:, 2], is_prefix[:, -1] = True, False, True
    return is_prefix


def real(draw, b=B, s=S):
    """bool[b s], True = keep: padding behind, in front, and anywhere, in a row each."""
    keep = torch.ones(b, s, dtype=torch.bool)
    keep[0, draw.integer(2, s) :] = False
    keep[1, : draw.integer(1, s - 2)] = False
    keep[2, draw.permutation(s)[:2]] = False
    return keep[draw.permutation(b)]


def asked(subject, keep, is_prefix):
    b, s = keep.shape
    return expect_tensor(subject(keep, is_prefix), (b, s, s), look=SHAPE) != 0


def expect_all(entries, who, look):
    wrong = int((~entries).sum())
    expect(wrong == 0, seen=f"{wrong} of {entries.numel()} {who}", look=look)


@claim("prefix_lm_mask", "Each real token sees those that it may, and no others.", weight=3)
def each_token_sees_what_it_may(subject, reference, draw):
    for b, s in ((B, S), (4, 11), (3, 5)):
        for is_prefix in (fronts(draw, b, s), anywhere(draw, b, s)):
            for keep in (real(draw, b, s), torch.ones(b, s, dtype=torch.bool)):
                expect_same(
                    asked(subject, keep, is_prefix)[keep],
                    reference(keep, is_prefix)[keep],
                    look="Ask it of the four quarters. Prefix on prefix, prefix on answer, answer on prefix, "
                    "answer on answer: which is full, which is empty, which is a triangle?",
                )


@claim("prefix_lm_mask", "In the prefix all see all: the picture sees the question that comes after it.")
def the_prefix_sees_all_of_itself(subject, reference, draw):
    for is_prefix in (fronts(draw), anywhere(draw)):
        keep = torch.ones(B, S, dtype=torch.bool)
        table = asked(subject, keep, is_prefix)
        inside = is_prefix[:, :, None] & is_prefix[:, None, :]
        expect_all(
            table[inside],
            "pairs within the prefix do not see each other",
            "Is the triangle opened where both are of the prefix, in each row by its own is_prefix?",
        )


@claim("prefix_lm_mask", "What is to be predicted is seen by nothing that stands before it.")
def nothing_before_an_answer_sees_it(subject, reference, draw):
    for is_prefix in (fronts(draw), anywhere(draw), torch.zeros(B, S, dtype=torch.bool)):
        keep = torch.ones(B, S, dtype=torch.bool)
        table = asked(subject, keep, is_prefix)
        ahead = torch.ones(S, S, dtype=torch.bool).triu(1) & ~is_prefix[:, None, :]
        expect_all(
            ~table[ahead],
            "pairs see an answer's token that comes later",
            "The loss asks for that token. Who can hand it to the place where it is asked for?",
        )
        behind = torch.ones(S, S, dtype=torch.bool).tril().expand(B, S, S)
        expect_all(
            table[behind],
            "pairs do not see a token that came before, or itself",
            "An answer is written with all in view that came before it. What did you take away?",
        )


@claim("prefix_lm_mask", "Padding is seen by nobody else, in the prefix and in the answer alike.")
def padding_is_seen_by_nobody(subject, reference, draw):
    for is_prefix in (fronts(draw), anywhere(draw)):
        keep = real(draw)
        table = asked(subject, keep, is_prefix)
        others = table[:, :, :] & keep[:, :, None] & ~keep[:, None, :]
        expect(
            not bool(others.any()),
            seen=f"real tokens see {int(others.sum())} times one that is padding",
            look="True in keep is a real token. Which axis is that: who looks, or who is looked at? And is "
            "it taken out after the triangle is opened, too?",
        )


@claim("prefix_lm_mask", "Every token sees itself, padding too, so that no row is empty.")
def no_row_is_empty(subject, reference, draw):
    keep = real(draw)
    keep[draw.integer(0, B)] = False
    table = asked(subject, keep, fronts(draw))
    blind = int((~table.diagonal(dim1=1, dim2=2)).sum())
    expect(
        blind == 0,
        seen=f"{blind} of {B * S} tokens do not see themselves",
        look="The diagonal is always True. Is it set after the padding is taken out, or before?",
    )
    scores = draw.normal(B, S, S).masked_fill(~table, -torch.inf)
    expect_finite(scores.softmax(dim=-1), look="A softmax over a row without any True is 0 / 0.")


@claim("prefix_lm_mask", "The table is boolean, and what was given stays as it was.", weight=0.5)
def a_boolean_table_and_nothing_changed(subject, reference, draw):
    keep, is_prefix = real(draw), fronts(draw)
    seen = expect_tensor(subject(keep, is_prefix), (B, S, S), look=SHAPE)
    expect(
        seen.dtype == torch.bool,
        seen=f"a table of type {seen.dtype}",
        look="torch's attention takes True = keep, or numbers to add to the scores: a table of ones and "
        "zeros would be added, and hide next to nothing.",
    )
    expect(
        not subject.changed_inputs(keep, is_prefix),
        seen="a mask that was given has changed",
        look="&= and |= write into what stands on their left. Whose tensor is that?",
    )


@claim("prefix_lm_mask", "Two masks of different shapes are a ValueError that names both.")
def different_shapes_are_refused(subject, reference, draw):
    asked(subject, real(draw), fronts(draw))
    for left, right in (((3, 8), (3, 7)), ((3, 8), (1, 8)), ((3, 8), (8,))):
        expect_raises(
            lambda left=left, right=right: subject(
                torch.ones(left, dtype=torch.bool), torch.ones(right, dtype=torch.bool)
            ),
            "ValueError",
            mentions=[*left, *right],
            look=f"keep is {left}, is_prefix is {right}. Does one row stretch over a batch unasked?",
        )
