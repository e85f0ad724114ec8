"""Hidden checks of qformer."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_finite,
    expect_same,
    expect_tensor,
)
from course_lib.qformer import SimplifiedQFormer

REFERENCE = SimplifiedQFormer

SIZES = {"d_visual": 10, "d_text": 14, "n_queries": 5, "n_layers": 3, "n_heads": 2, "d_model": 12}
B, V, Q, D_TEXT = 3, 7, SIZES["n_queries"], SIZES["d_text"]


def pair(subject, reference, draw, std=0.5, **changed):
    return build_pair(subject, reference, draw, std=std, **{**SIZES, **changed})


def pictures(draw, b=B):
    return draw.normal(b, V, SIZES["d_visual"])


def telling_mask(draw, b, v):
    """A keep mask in which some row both hides tokens and has at least two left to share the attention."""
    while True:
        keep = draw.keep_mask(b, v)
        kept = keep.sum(dim=1)
        if bool(((kept >= 2) & (kept < v)).sum() >= 2):  # two rows, because a check may blind one
            return keep


@claim("qformer", "On any weights, the output is the one the definition gives, for two depths.", weight=2)
def values_are_those_of_the_definition(subject, reference, draw):
    visual = pictures(draw)
    for n_layers in (3, 1):
        ours, theirs = pair(subject, reference, draw, n_layers=n_layers)
        expect_same(
            ours(visual),
            theirs(visual),
            look="In each layer: self-attention, then (in layers 0, 2, 4, ...) the picture, then the "
            "feed-forward. Is each of them added to what came in, and the sum normed afterwards?",
        )


@claim("qformer", "The queries are weights that learn: small, random, no two alike.")
def queries_are_learned_and_differ(subject, reference, draw):
    fresh = subject.build(**{**SIZES, "n_queries": 32, "d_model": 48})
    queries = fresh.parameters().get("queries")
    expect(
        queries is not None,
        seen="the module has no parameter called queries",
        look="Only an nn.Parameter is trained: a buffer or a plain tensor is not.",
    )
    expect_tensor(queries, (32, 48), look="One row for each query, as wide as d_model.")
    spread, mean = float(queries.double().std()), float(queries.double().mean())
    expect(
        0.017 < spread < 0.023 and abs(mean) < 0.004,
        seen=f"the queries have mean {mean:.3f} and standard deviation {spread:.3f}",
        look="They are drawn from a normal distribution with standard deviation 0.02. Equal queries would "
        "get equal gradients, and stay equal for ever.",
    )
    closest = float(torch.pdist(queries.double()).min())
    expect(
        closest > 0.01,
        seen=f"the two most similar queries differ by {closest:.2g}",
        look="Each query has its own random start. Is one drawn and copied?",
    )
    ours, theirs = pair(subject, reference, draw)
    visual, pull = pictures(draw), draw.normal(B, Q, D_TEXT)
    got = ours.gradients(visual, cotangent=pull).parameters.get("queries")
    expect(
        got is not None, seen="no gradient arrives at the queries", look="Are they detached on the way in?"
    )
    expect_same(
        got,
        theirs.gradients(visual, cotangent=pull).parameters["queries"],
        tolerance=1e-4,
        look="Every picture of the batch starts from the same queries, so their gradient is the sum over "
        "the batch.",
    )


@claim("qformer", "Each query hears every other query, and every visual token reaches every query.")
def queries_hear_each_other_and_the_picture(subject, reference, draw):
    # Gentle weights: a softmax that has made up its mind would hide an influence that is there.
    ours, theirs = pair(subject, reference, draw, std=0.25, n_layers=1)
    # Row 0 as it is, then one visual token changed in each row.
    visual = pictures(draw, b=1).repeat(1 + V, 1, 1)
    for j in range(V):
        visual[1 + j, j] += draw.normal(SIZES["d_visual"])
    base = expect_tensor(ours(visual), (1 + V, Q, D_TEXT)).double()
    by_picture = (base[1:] - base[:1]).abs().amax(dim=2) > 1e-5
    expect(
        bool(by_picture.all()),
        seen=f"{int(by_picture.sum())} of {V * Q} pairs (visual token, query) have an influence",
        look="With one layer, layer 0, the picture must already be there. In which layers do the queries "
        "look at it?",
    )
    expect_same(base, theirs(visual), look="Everything arrives; are the values right?")
    weights = theirs.parameters()
    by_queries = torch.zeros(Q, Q, dtype=torch.bool)
    for i in range(Q):
        changed = dict(weights)
        changed["queries"] = weights["queries"].clone()
        changed["queries"][i] += draw.normal(SIZES["d_model"])
        ours.load(changed)
        moved = expect_tensor(ours(visual[:1]), (1, Q, D_TEXT)).double() - base[:1]
        by_queries[i] = moved[0].abs().amax(dim=1) > 1e-5
    expect(
        bool(by_queries.all()),
        seen=f"{int(by_queries.sum())} of {Q * Q} pairs (query, query) have an influence",
        look="The self-attention is among the queries of one picture. Does it get all of them, with no mask?",
    )


@claim(
    "qformer", "Every picture is read for itself, and in no order: it neither sees the batch nor the places."
)
def a_picture_is_a_set_of_its_own(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    visual = pictures(draw)
    seen = expect_tensor(ours(visual), (B, Q, D_TEXT))
    other = visual.clone()
    other[1:] = draw.normal(B - 1, V, SIZES["d_visual"])
    look = (
        "Is batch_first=True given to every nn.MultiheadAttention? Without it, torch takes the first axis "
        "for the sequence, and pictures of a batch read each other."
    )
    changed = expect_tensor(ours(other), (B, Q, D_TEXT))
    expect_same(changed[0], seen[0], look=look)
    expect_different(
        changed[1:], seen[1:], look="Another picture has to give another summary. Is it read at all?"
    )
    expect_same(
        ours(visual[:, draw.permutation(V)]),
        seen,
        look="Attention has no order of its own, and nothing here adds one. Where does the order come in?",
    )
    expect_same(seen, theirs(visual), look="The picture is read for itself; are the values right?")


@claim("qformer", "What is hidden reaches no query, and what is kept is read as if the rest were not there.")
def hidden_tokens_reach_no_query(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    visual, keep = pictures(draw), telling_mask(draw, B, V)
    garbage = torch.where(keep[..., None], visual, 10 * draw.normal(*visual.shape))
    clean = expect_tensor(ours(visual, keep), (B, Q, D_TEXT))
    expect_same(
        ours(garbage, keep),
        clean,
        look="Our mask says True = keep; torch's key_padding_mask says True = IGNORE. Is it turned round?",
    )
    expect_same(clean, theirs(visual, keep), look="Do all layers that look at the picture get the mask?")


@claim("qformer", "Where a picture keeps nothing, the queries hear only each other, with finite gradients.")
def a_picture_that_keeps_nothing_adds_nothing(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    visual, keep = pictures(draw), telling_mask(draw, B, V)
    blind = draw.integer(0, B)
    keep[blind] = False
    pull = draw.normal(B, Q, D_TEXT)
    mine = ours.gradients(visual, keep, cotangent=pull)
    right = theirs.gradients(visual, keep, cotangent=pull)
    look = (
        "With every key ignored, torch's attention gives NaN, or the bias of its output projection. Let such "
        "a row look at everything, and set what it read to zero before it is added."
    )
    expect_finite(mine.output, look=look)
    expect_same(mine.output, right.output, look=look)
    got = mine.inputs[0] if mine.inputs else None
    expect(got is not None, seen="no gradient arrives at the picture", look="Is something detached?")
    expect_finite(got, look=look)
    expect_same(got, right.inputs[0], tolerance=1e-4, look=look)
    broken = [n for n, g in mine.parameters.items() if g is not None and not bool(torch.isfinite(g).all())]
    expect(not broken, seen=f"the gradient of {', '.join(broken[:3])} is not finite", look=look)
