"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("qformer_mask", qformer_mask)
"""

import torch

from course_lib.checking import (
    claim,
    door,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- qformer_layer ---------------------------------------------------------------------------------------

# (begin qformer_layer)
#
#
#
# (end qformer_layer)

# -- qformer_mask ----------------------------------------------------------------------------------------

# (begin qformer_mask)
#
#
#
# (end qformer_mask)

# -- itc_loss --------------------------------------------------------------------------------------------


@claim(
    "itc_loss",
    "Where nothing tells the pairs apart, the loss is log(b), with and without smoothing.",
    weight=0.5,
)
def nothing_to_tell_apart_costs_log_b(subject, draw):
    b, q, e = 6, 4, 9
    pictures, texts = draw.normal(1, q, e).expand(b, q, e), draw.normal(1, e).expand(b, e)
    for smoothing in (0.0, 0.1):
        seen = expect_tensor(
            subject(pictures, texts, 0.2, smoothing),
            (),
            look="A loss is one number. Is the mean taken over the batch?",
        )
        expect_same(
            seen,
            torch.tensor(6.0).log(),
            look="Six pairs that are all alike: the right one can only be guessed, and one in six guesses is "
            "right. Is the mean taken over the batch, and over the two directions?",
        )


@claim("itc_loss", "One query that points where the text points is enough for a pair, however long it is.")
def one_query_is_enough_for_a_pair(subject, draw):
    b, q, e, heat, smoothing = 4, 3, 7, 0.3, 0.2
    texts = torch.linalg.qr(draw.normal(e, e)).Q[:b]  # at right angles
    pictures = -texts[:, None].repeat(1, q, 1)  # away from their own text ...
    pictures[torch.arange(b), draw.integers(1, q, b)] *= -1  # ... but for one query each
    pictures = pictures * draw.uniform(0.5, 3.0, b, q, 1)
    seen = expect_tensor(subject(pictures, texts * draw.uniform(0.5, 3.0, b, 1), heat, smoothing), ())
    # The largest cosine is 1 for the right pairs and 0 for all others.
    sure = torch.log1p((b - 1) * torch.tensor(-1 / heat).exp())
    expect_same(
        seen,
        sure + smoothing * (b - 1) / b / heat,
        look="Here the nearest query has a cosine of 1 for the right text and of 0 for every other. Is the "
        "largest over the queries taken, of vectors of length 1, and divided by the temperature? Does the "
        "smoothing arrive?",
    )


# -- sample_negatives ------------------------------------------------------------------------------------


def drawn_negatives(subject, draw, logits, calls):
    """What `calls` calls drew, each with a seed of its own: int[calls 2 b], no number the own one."""
    call = {"op": "call", "target": subject.name, "args": (logits,), "kwargs": {}}
    seeds = draw.integers(0, 1 << 62, calls).tolist()
    b, found = len(logits), []
    replies = subject.several(*({**call, "seed": seed} for seed in seeds))
    for _ in seeds:
        rows = next(replies).get("value")
        expect(
            isinstance(rows, (tuple, list)) and len(rows) == 2,
            seen=f"a {type(rows).__name__} instead of two tensors",
            look="Return two: a text for each picture, and a picture for each text.",
        )
        for row in rows:
            expect_tensor(row, (b,), look="One number for each picture, and one for each text: shape [b].")
            expect(
                row.dtype in (torch.int64, torch.int32) and bool(((row >= 0) & (row < b)).all()),
                seen=f"numbers of type {row.dtype}, from {float(row.min()):g} to {float(row.max()):g}",
                look="Each number is a column, or a row, of the table, to be used as an index.",
            )
            own = int((row == torch.arange(b)).sum())
            expect(
                own == 0,
                seen=f"{own} of {b} drew their own",
                look="The own one is no wrong one. Which logit has a probability of exactly 0?",
            )
        found.append(torch.stack([row.long() for row in rows]))
    return torch.stack(found)


@claim(
    "sample_negatives", "Never the own one, although it is the most alike; sooner or later every other one."
)
def every_other_one_may_come(subject, draw):
    """By bad luck a right answer fails once in 2e10: 40 pairs, each missed with a chance of .76 ** 100."""
    drawn = drawn_negatives(subject, draw, 0.01 * draw.normal(5, 5) + 7 * torch.eye(5), 100)
    for who, row in (("pictures", 0), ("texts", 1)):
        met = {(i, j) for one in drawn[:, row].tolist() for i, j in enumerate(one)}
        expect(
            len(met) == 20,
            seen=f"in 100 calls, {who} met {len(met)} of the 20 wrong ones",
            look="Here all others are about as likely. Is one drawn, or is the best one picked?",
        )


@claim("sample_negatives", "One that is ahead by log(n) is drawn as often as n others together.")
def one_ahead_is_drawn_half_the_time(subject, draw):
    """39 others of which one is ahead by log(38): it comes with probability 1 / 2.

    In n = 40 * 30 = 1,200 draws its share is within .0893 of that, but for 2 exp(-2 n .0893 ** 2) = 1e-8
    (Hoeffding) for each direction. Picking the hardest gives 1, drawing evenly 1 / 39.
    """
    b, calls, margin = 40, 30, 0.0893
    places, ahead = torch.arange(b), (torch.arange(b) + draw.integer(1, b)) % b
    # A picture that is more like all texts than another one is not choosier for it.
    logits = draw.normal(b, 1) + 4 * torch.eye(b)
    logits[places, ahead] += torch.tensor(b - 2.0).log()
    for who, row, asked in (("pictures", 0, logits), ("texts", 1, logits.T.contiguous())):
        drawn = drawn_negatives(subject, draw, asked, calls)[:, row]
        share = float((drawn == ahead).double().mean())
        expect(
            abs(share - 0.5) <= margin,
            seen=f"{who} drew the one ahead in {share:.1%} of {drawn.numel():,} draws (allowed: "
            f"{0.5 - margin:.1%} to {0.5 + margin:.1%})",
            look="More often: is it picked, not drawn? Less often: is there a softmax, along the row of "
            "whoever draws, and is the table transposed for the texts?",
        )


# -- itm_loss --------------------------------------------------------------------------------------------

# (begin itm_loss)
#
#
#
# (end itm_loss)

# -- itg_loss --------------------------------------------------------------------------------------------

# (begin itg_loss)
#
#
#
# (end itg_loss)

# -- query_similarity ------------------------------------------------------------------------------------

# (begin query_similarity)
#
#
#
# (end query_similarity)

# -- query_prefix ----------------------------------------------------------------------------------------

# (begin query_prefix)
#
#
#
# (end query_prefix)

# -- blip2_answers ---------------------------------------------------------------------------------------

# (begin blip2_answers)
#
#
#
# (end blip2_answers)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
