"""Hidden checks of cross_attention."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_equal,
    expect_finite,
    expect_same,
    expect_tensor,
)
from course_lib.cross_attention import CrossAttention

REFERENCE = CrossAttention

# No two axes are equally long, and the heads together are as wide as neither stream.
SIZES = {"d_text": 11, "d_visual": 10, "n_heads": 3, "d_head": 4}
B, T, V = 2, 7, 5


def telling_mask(draw, b, v):
    """A keep mask in which some row both hides tokens and has at least two left to share the attention."""
    while True:
        keep = draw.keep_mask(b, v)
        kept = keep.sum(dim=1)
        if bool(((kept >= 2) & (kept < v)).sum() >= 2):  # two rows, because a check may blind one
            return keep


@claim("cross_attention", "On any weights, the output is the one the definition gives.", weight=2)
def values_are_those_of_the_definition(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = draw.normal(B, T, SIZES["d_text"]), draw.normal(B, V, SIZES["d_visual"])
    expect_same(
        ours(text, visual),
        theirs(text, visual),
        look="Four places to look: is the softmax over the visual axis, are the scores multiplied by "
        "d_head ** -0.5, is a head a run of neighbouring columns ('(h e)'), and do the keys and values "
        "come from the picture?",
    )


@claim(
    "cross_attention", "A text token's output depends on itself and on every visual token, and on no other."
)
def each_word_reads_the_whole_picture_and_no_other_word(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    # One call: row 0 as it is; then T rows, one text token changed in each; then V rows, one visual token.
    text = draw.normal(1, T, SIZES["d_text"]).repeat(1 + T + V, 1, 1)
    visual = draw.normal(1, V, SIZES["d_visual"]).repeat(1 + T + V, 1, 1)
    for i in range(T):
        text[1 + i, i] += draw.normal(SIZES["d_text"])
    for j in range(V):
        visual[1 + T + j, j] += draw.normal(SIZES["d_visual"])
    seen = expect_tensor(ours(text, visual), text.shape)
    moved = (seen.double()[1:] - seen.double()[:1]).abs().amax(dim=2) > 1e-5  # (T + V) x T: who moved whom
    by_words, by_picture = moved[:T], moved[T:]
    expect(
        torch.equal(by_words, torch.eye(T, dtype=torch.bool)),
        seen=f"{int((by_words & ~torch.eye(T, dtype=torch.bool)).sum())} of {T * (T - 1)} pairs of "
        f"different words influence each other; {int(by_words.diagonal().sum())} of {T} words influence "
        "themselves",
        look="Only the queries come from the text. Over which axis is the softmax taken?",
    )
    expect(
        bool(by_picture.all()),
        seen=f"{int(by_picture.sum())} of {T * V} pairs (visual token, word) have an influence",
        look="A picture has no 'later': is a causal mask at work, perhaps by default?",
    )
    expect_same(seen, theirs(text, visual), look="Who reads whom is right; are the values?")


@claim(
    "cross_attention",
    "What is hidden reaches nobody, and what is kept is read as if the rest were not there.",
)
def hidden_tokens_reach_nobody(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = draw.normal(3, T, SIZES["d_text"]), draw.normal(3, V, SIZES["d_visual"])
    keep = telling_mask(draw, 3, V)
    garbage = torch.where(keep[..., None], visual, 30 * draw.normal(*visual.shape))
    clean = expect_tensor(ours(text, visual, keep), text.shape)
    expect_same(
        ours(text, garbage, keep),
        clean,
        look="True in visual_mask means KEEP. Is the mask inverted, or applied to another axis than the "
        "visual one?",
    )
    expect_same(
        clean,
        theirs(text, visual, keep),
        look="The weights of the kept tokens still have to sum to 1. Is the mask applied before the softmax?",
    )


@claim(
    "cross_attention",
    "Where a picture keeps nothing, the output is exactly zero, and its neighbours stay right.",
)
def a_row_that_sees_nothing_gets_exactly_zero(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = draw.normal(3, T, SIZES["d_text"]), draw.normal(3, V, SIZES["d_visual"])
    keep = telling_mask(draw, 3, V)
    blind = draw.integer(0, 3)
    keep[blind] = False
    seen = expect_tensor(ours(text, visual, keep), text.shape)
    expect_finite(
        seen, look="A softmax over nothing but minus infinity is 0/0. What do you do with such a row?"
    )
    expect_same(
        seen[blind],
        torch.zeros(T, SIZES["d_text"]),
        tolerance=0.0,
        look="Equal scores give equal weights, so a row that hides everything reads the mean of "
        "everything. And does out_proj, which has a bias, come after your zero?",
    )
    expect_same(seen, theirs(text, visual, keep), look="Is only the row that keeps nothing set to zero?")


@claim(
    "cross_attention",
    "Gradients arrive at text, picture and weights, and stay finite beside a row of nothing.",
)
def gradients_are_right_and_finite(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = draw.normal(3, T, SIZES["d_text"]), draw.normal(3, V, SIZES["d_visual"])
    keep = telling_mask(draw, 3, V)
    keep[draw.integer(0, 3)] = False
    pull = draw.normal(3, T, SIZES["d_text"])
    mine = ours.gradients(text, visual, keep, cotangent=pull)
    right = theirs.gradients(text, visual, keep, cotangent=pull)
    look = (
        "Is a tensor detached, or is -inf in a row that keeps nothing? NaN in the forward pass that is "
        "replaced afterwards is still NaN in the backward pass; the lowest finite number is not."
    )
    for name, got, wanted in zip(("text", "visual"), mine.inputs, right.inputs, strict=False):
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_finite(got, look=look)
        expect_same(got, wanted, look=f"The gradient that arrives at {name} differs. {look}")
    for name, wanted in right.parameters.items():
        got = mine.parameters.get(name)
        if name in mine.parameters:  # a fused layout has other names; the norm below covers those
            expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
            expect_same(got, wanted, look=f"The gradient of {name} differs. {look}")
    expect_same(_length(mine), _length(right), look=f"All parameters together have another gradient. {look}")


@claim(
    "cross_attention",
    "It holds exactly the weights that were asked for: q, k, v without bias, out with.",
    weight=0.5,
)
def the_number_of_parameters_is_right(subject, reference, draw):
    n_heads, d_head = draw.integer(2, 5), draw.integer(5, 9)
    d_text, d_visual = draw.integer(9, 20), draw.integer(21, 33)
    ours = subject.build(d_text, d_visual, n_heads, d_head)
    theirs = reference.build(d_text, d_visual, n_heads, d_head)
    expect_equal(
        sum(p.numel() for p in ours.parameters().values()),
        sum(p.numel() for p in theirs.parameters().values()),
        name=f"the number of parameters at d_text={d_text}, d_visual={d_visual}, n_heads={n_heads}, "
        f"d_head={d_head}",
        look="Keys and values project from d_visual, queries from d_text, all to n_heads * d_head. Which "
        "of the four layers has a bias?",
    )


def _length(gradients):
    """Length of the gradient over all parameters: the same however they are laid out."""
    squares = [float(g.double().square().sum()) for g in gradients.parameters.values() if g is not None]
    return torch.tensor(sum(squares)).sqrt()
