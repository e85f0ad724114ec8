"""Hidden checks of masked_cross_attention. Masks say True = keep, one row for each text token."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_same,
    expect_tensor,
)
from course_lib.gated_block import MaskedCrossAttention

REFERENCE = MaskedCrossAttention

# No two axes are equally long, and the heads together are as wide as neither stream.
SIZES = {"d_text": 11, "d_visual": 10, "n_heads": 2, "d_head": 4}
B, T, S = 3, 7, 5


def streams(draw, b=B):
    return draw.normal(b, T, SIZES["d_text"]), draw.normal(b, S, SIZES["d_visual"])


def telling_mask(draw):
    """A keep mask in which every token keeps something, no two rows of it can stand for each other, and
    enough tokens have at least two left to share the attention."""
    while True:
        keep = draw.keep_mask(B * T, S).view(B, T, S)
        kept = keep.sum(dim=2)
        shared = ((kept >= 2) & (kept < S)).sum(dim=1)
        unlike_the_first = (keep[:, 1:] != keep[:, :1]).any(dim=2)
        unlike_row_0 = (keep[1:] != keep[:1]).any(dim=2).any(dim=1)
        if bool((shared >= 3).all() and unlike_the_first.all() and unlike_row_0.all()):
            return keep


def blinded(draw, keep):
    """The mask with nothing kept for two tokens of row 0, and for no token of row 1."""
    keep = keep.clone()
    keep[0, draw.permutation(T)[:2]] = False
    keep[1] = False
    return keep


@claim("masked_cross_attention", "On any weights, the output is the one the definition gives.", weight=2)
def values_are_those_of_the_definition(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = streams(draw)
    expect_same(
        ours(text, visual),
        theirs(text, visual),
        look="Four places to look: is the softmax over the visual axis, are the scores multiplied by "
        "d_head ** -0.5, is a head a run of neighbouring columns ('(h e)'), and do the keys and values "
        "come from the picture?",
    )


@claim(
    "masked_cross_attention",
    "Without a mask, a text token's output depends on itself and on every visual token, and on no other.",
)
def without_a_mask_every_token_reads_everything(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    # One call: row 0 as it is; then T rows, one text token changed in each; then S rows, one visual token.
    text, visual = (x.repeat(1 + T + S, 1, 1) for x in streams(draw, b=1))
    for i in range(T):
        text[1 + i, i] += draw.normal(SIZES["d_text"])
    for j in range(S):
        visual[1 + T + j, j] += draw.normal(SIZES["d_visual"])
    seen = expect_tensor(ours(text, visual), text.shape)
    moved = (seen.double()[1:] - seen.double()[:1]).abs().amax(dim=2) > 1e-5  # (T + S) x T: who moved whom
    by_text, by_picture = moved[:T], moved[T:]
    others = by_text & ~torch.eye(T, dtype=torch.bool)
    expect(
        torch.equal(by_text, torch.eye(T, dtype=torch.bool)),
        seen=f"{int(others.sum())} of {T * (T - 1)} pairs of different text tokens influence each other; "
        f"{int(by_text.diagonal().sum())} of {T} tokens influence themselves",
        look="Only the queries come from the text. Over which axis is the softmax taken?",
    )
    expect(
        bool(by_picture.all()),
        seen=f"{int(by_picture.sum())} of {T * S} pairs (visual token, text token) have an influence",
        look="A picture has no 'later': is a causal mask at work, perhaps by default where none is given?",
    )
    expect_same(seen, theirs(text, visual), look="Who reads whom is right; are the values?")


@claim(
    "masked_cross_attention",
    "Each text token reads exactly what its own row of the mask keeps, as if the rest were not there.",
    weight=2,
)
def each_token_reads_what_its_own_row_keeps(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = streams(draw)
    keep = telling_mask(draw)
    # One call for the first row of the mask: as it is, then S times with one visual token changed.
    asked = text[:1].repeat(1 + S, 1, 1)
    shown = visual[:1].repeat(1 + S, 1, 1)
    for j in range(S):
        shown[1 + j, j] += 3 * draw.normal(SIZES["d_visual"])
    seen = expect_tensor(ours(asked, shown, keep[:1].repeat(1 + S, 1, 1)), asked.shape)
    moved = (seen.double()[1:] - seen.double()[:1]).abs().amax(dim=2).T > 1e-5  # T x S, as the mask
    leaks, deaf = int((moved & ~keep[0]).sum()), int((keep[0] & ~moved).sum())
    expect(
        leaks == 0 and deaf == 0,
        seen=f"of {T * S} pairs (text token, visual token), {leaks} that the mask hides have an influence, "
        f"and {deaf} that it keeps have none",
        look="The mask is bool[b t s] and True means KEEP: row t of it is for text token t alone. Is it "
        "inverted, merged over the tokens, or laid along another axis?",
    )
    expect_same(
        ours(text, visual, keep),
        theirs(text, visual, keep),
        look="Who reads whom is right. The weights of what is kept still have to sum to 1, in every row of "
        "the batch: is the mask applied to the scores, before the softmax?",
    )


@claim(
    "masked_cross_attention",
    "A token that keeps nothing gets exactly zero, whatever is in the pictures; its neighbours stay right.",
)
def a_token_that_keeps_nothing_gets_exactly_zero(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = streams(draw)
    keep = blinded(draw, telling_mask(draw))
    blind = ~keep.any(dim=2)
    seen = expect_tensor(ours(text, visual, keep), text.shape)
    expect_finite(
        seen, look="A softmax over nothing but minus infinity is 0/0. What do you do with such a token?"
    )
    expect_same(
        seen[blind],
        torch.zeros(int(blind.sum()), SIZES["d_text"]),
        tolerance=0.0,
        look="Equal scores give equal weights, so a token that hides everything reads the mean of "
        "everything, however low the scores are. What should it have read, and where do you say so?",
    )
    expect_same(
        seen,
        theirs(text, visual, keep),
        look="Only the tokens that keep nothing are zero. Is a whole row of text silenced for one of them?",
    )


@claim(
    "masked_cross_attention",
    "Gradients arrive at text, pictures and weights, and stay finite beside a token that keeps nothing.",
)
def gradients_are_right_and_finite(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES)
    text, visual = streams(draw)
    keep = blinded(draw, telling_mask(draw))
    pull = draw.normal(B, T, SIZES["d_text"])
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
            expect_same(got, wanted, look=f"The gradient of {name} differs. {look}", tolerance=3e-5)
    expect_same(_length(mine), _length(right), look=f"All parameters together have another gradient. {look}")


@claim(
    "masked_cross_attention",
    "Text, pictures and mask are left as they came: the next block reads with the same mask.",
    weight=0.5,
)
def what_comes_in_is_left_as_it_was(subject, reference, draw):
    ours, _ = build_pair(subject, reference, draw, **SIZES)
    text, visual = streams(draw)
    keep = blinded(draw, telling_mask(draw))
    names = ("text", "visual", "media_mask")
    written = [names[place] for place in ours.changed_inputs(text, visual, keep) if place < len(names)]
    expect(
        not written,
        seen=f"written into: {', '.join(written)}",
        look="A mask is shared by all blocks of a model. If one of them opens a row in place, who else reads "
        "that row afterwards? Make a new tensor.",
    )
    expect_different(
        ours(text, visual, keep), torch.zeros_like(text), look="Nothing is read at all. What is returned?"
    )


@claim(
    "masked_cross_attention",
    "It holds exactly the weights that were asked for: q, k, v and o, none with a bias.",
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
        look="Keys and values project from d_visual, queries from d_text, all to n_heads * d_head, and "
        "o_proj back to d_text. Has one of the four a bias?",
    )


def _length(gradients):
    """Length of the gradient over all parameters: the same however they are laid out."""
    squares = [float(g.double().square().sum()) for g in gradients.parameters.values() if g is not None]
    return torch.tensor(sum(squares)).sqrt()
