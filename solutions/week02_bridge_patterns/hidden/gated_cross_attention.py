"""Hidden checks of gated_cross_attention. The attention is a stand-in: this exercise is about the gate."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_same,
    expect_tensor,
    stand_in,
)
from course_lib.gated_cross_attention import GatedCrossAttention

REFERENCE = GatedCrossAttention

D_TEXT, D_VISUAL = 12, 10
B, T, V = 2, 7, 5


def attention():
    return stand_in("linear_read", d_text=D_TEXT, d_visual=D_VISUAL)


def gate(draw, sign=1.0):
    """One value of alpha well away from 0, where tanh is neither straight nor flat."""
    return sign * draw.uniform(0.5, 1.5, 1)


def pair(subject, reference, draw, alpha):
    return build_pair(subject, reference, draw, attention=attention(), d_text=D_TEXT, fixed={"alpha": alpha})


def streams(draw, b=B):
    return draw.normal(b, T, D_TEXT), draw.normal(b, V, D_VISUAL)


@claim(
    "gated_cross_attention",
    "As built, the block returns the text bit for bit; with the gate opened, it does not.",
)
def a_closed_gate_changes_nothing(subject, reference, draw):
    text, visual = streams(draw)
    fresh = subject.build(attention=attention(), d_text=D_TEXT)
    seen = expect_tensor(fresh(text, visual), text.shape)
    ours, _ = pair(subject, reference, draw, torch.zeros(1))
    closed = expect_tensor(ours(text, visual), text.shape)
    opened, wanted = pair(subject, reference, draw, gate(draw))
    look = (
        "Is alpha 0 when the block is built, is it passed through tanh, and is the text itself added "
        "unchanged?"
    )
    expect_same(seen, text, tolerance=0.0, look=look)
    expect_same(closed, text, tolerance=0.0, look=look)
    expect_same(
        opened(text, visual),
        wanted(text, visual),
        look="With alpha set to another number the block has to add what the attention read. Does it?",
    )


@claim(
    "gated_cross_attention", "With alpha above 0, the block adds tanh(alpha) times what was read.", weight=2
)
def an_open_gate_adds_the_read(subject, reference, draw):
    text, visual = streams(draw)
    alpha = gate(draw)
    ours, theirs = pair(subject, reference, draw, alpha)
    wide, wide_wanted = pair(subject, reference, draw, 20 * alpha)
    expect_same(
        ours(text, visual),
        theirs(text, visual),
        look="text + tanh(alpha) * attention(norm(text), ...). Is something else multiplied by the gate, "
        "is the text that is added normed too, or is the norm missing?",
    )
    expect_same(
        wide(text, visual),
        wide_wanted(text, visual),
        look="However large alpha grows, tanh(alpha) stays below 1. Is the tanh there?",
    )


@claim("gated_cross_attention", "With alpha below 0, the block takes away what it would have added.")
def a_negative_gate_subtracts_the_read(subject, reference, draw):
    text, visual = streams(draw)
    alpha = gate(draw)
    ours, theirs = pair(subject, reference, draw, -alpha)
    seen = expect_tensor(ours(text, visual), text.shape)
    expect_different(seen, text, look="Does a negative alpha still let something through?")
    expect_same(
        seen,
        theirs(text, visual),
        look="The sign of the gate is the model's to choose: trained gates end up on either side of 0. Is "
        "it kept?",
    )


@claim("gated_cross_attention", "The mask arrives at the attention.")
def the_mask_arrives_at_the_attention(subject, reference, draw):
    text, visual = streams(draw, b=3)
    keep = draw.keep_mask(3, V)
    ours, theirs = pair(subject, reference, draw, gate(draw))
    garbage = torch.where(keep[..., None], visual, 10 * draw.normal(*visual.shape))
    clean, dirty = ours(text, visual, keep), ours(text, garbage, keep)
    look = "The block itself does nothing with visual_mask. Does it hand it on, as the third argument?"
    expect_same(dirty, theirs(text, garbage, keep), look=look)
    expect_same(clean, theirs(text, visual, keep), look=look)


@claim(
    "gated_cross_attention", "The attention reads normed text, while the text that is added stays as it was."
)
def only_what_is_read_is_normed(subject, reference, draw):
    text, visual = streams(draw)
    ours, theirs = pair(subject, reference, draw, gate(draw))
    # A LayerNorm sees no difference between a token and 5 times that token plus a constant; the stream does.
    louder = 5.0 * text + 2.0
    quiet = expect_tensor(ours(text, visual), text.shape).double() - text
    loud = expect_tensor(ours(louder, visual), text.shape).double() - louder
    expect_same(
        loud,
        quiet,
        tolerance=1e-3,
        look="What the block adds should not depend on how loud the text is. Which of the two uses of text "
        "is normed?",
    )
    expect_same(quiet, theirs(text, visual) - text, look="Is the norm taken of the text, before it is read?")


@claim(
    "gated_cross_attention",
    "As built, alpha learns and nothing else does; with the gate opened, everything does.",
)
def at_first_only_alpha_learns(subject, reference, draw):
    text, visual = streams(draw)
    pull = draw.normal(B, T, D_TEXT)
    fresh = subject.build(attention=attention(), d_text=D_TEXT)
    first = fresh.gradients(text, visual, cotangent=pull)
    ours, theirs = pair(subject, reference, draw, gate(draw))
    mine = ours.gradients(text, visual, cotangent=pull)
    right = theirs.gradients(text, visual, cotangent=pull)

    alpha = first.parameters.get("alpha")
    expect(alpha is not None, seen="no gradient arrives at alpha", look="Is alpha an nn.Parameter?")
    expect_different(
        alpha,
        torch.zeros(1),
        look="alpha gets its gradient from what was read. If what was read is 0 as well (a second zero), "
        "nothing will ever move. Is anything but alpha set to 0?",
    )
    awake = [n for n, g in first.parameters.items() if n != "alpha" and g is not None and bool(g.any())]
    expect(
        not awake,
        seen=f"besides alpha, a gradient arrives at {', '.join(awake[:4])}",
        look="Behind a closed gate no gradient passes. Is the gate really closed when the block is built?",
    )
    look = (
        "With the gate open, everything in the block learns. Is a tensor detached, or a parameter not used?"
    )
    for name, wanted in right.parameters.items():
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"with the gate open, no gradient arrives at {name}", look=look)
        expect_same(got, wanted, look=f"The gradient of {name} differs. {look}", tolerance=1e-4)
    for name, got, wanted in zip(("text", "visual"), mine.inputs, right.inputs, strict=False):
        expect(got is not None, seen=f"with the gate open, no gradient arrives at {name}", look=look)
        expect_same(got, wanted, look=f"The gradient that arrives at {name} differs. {look}", tolerance=1e-4)
