"""Hidden checks of gated_block. Attention and feed-forward are stand-ins: this exercise is about the gates,
the norms and the order. Masks say True = keep, one row for each text token."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_finite,
    expect_same,
    expect_tensor,
    stand_in,
)
from course_lib.gated_block import GatedBlock

REFERENCE = GatedBlock

D_TEXT, D_VISUAL, D_HIDDEN = 12, 10, 9
B, T, S = 2, 7, 5
CLOSED = torch.zeros(1)
GATES = ("alpha_cross_attn", "alpha_dense")


def parts():
    return {
        "attention": stand_in("masked_read", d_text=D_TEXT, d_visual=D_VISUAL),
        "feed_forward": stand_in("feed_forward", d_text=D_TEXT, d_hidden=D_HIDDEN),
        "d_text": D_TEXT,
    }


def gates(draw):
    """Two values well away from 0, where tanh is neither straight nor flat, and well apart."""
    one, other = draw.uniform(0.4, 0.7, 1), draw.uniform(1.0, 1.5, 1)
    return (one, other) if draw.integer(0, 2) else (other, one)


def pair(subject, reference, draw, cross, dense, **more):
    fixed = {"alpha_cross_attn": cross, "alpha_dense": dense, **more}
    return build_pair(subject, reference, draw, **parts(), fixed=fixed)


def streams(draw):
    return draw.normal(B, T, D_TEXT), draw.normal(B, S, D_VISUAL)


def token_mask(draw):
    """bool[b t s], True = keep; every token keeps something, and none is like the first of its row."""
    while True:
        keep = draw.keep_mask(B * T, S).view(B, T, S)
        if bool((keep[:, 1:] != keep[:, :1]).any(dim=2).all()):
            return keep


@claim(
    "gated_block",
    "As built, and with both gates at 0, the block returns the text bit for bit; opened, it does not.",
)
def closed_gates_return_the_text(subject, reference, draw):
    text, visual = streams(draw)
    loud = 100 * draw.normal(B, S, D_VISUAL)
    fresh = subject.build(**parts())
    ours, _ = pair(subject, reference, draw, CLOSED, CLOSED)
    opened, wanted = pair(subject, reference, draw, *gates(draw))
    look = (
        "Are both alphas 0 when the block is built, does each go through tanh, and is the text itself added "
        "to, past every norm?"
    )
    for block in (fresh, ours):
        for picture in (visual, loud):
            seen = expect_tensor(block(text, picture), text.shape)
            expect_same(seen, text, tolerance=0.0, look=look)
    expect_same(
        opened(text, visual),
        wanted(text, visual),
        look="With the gates at other numbers the block has to add what its two branches made. Does it?",
    )


@claim("gated_block", "At any values of the two gates, the block adds what the definition says.", weight=2)
def open_gates_add_both_branches(subject, reference, draw):
    text, visual = streams(draw)
    cross, dense = gates(draw)
    ours, theirs = pair(subject, reference, draw, cross, dense)
    wide, wide_wanted = pair(subject, reference, draw, 20 * cross, -20 * dense)
    expect_same(
        ours(text, visual),
        theirs(text, visual),
        look="First text + tanh(alpha_cross_attn) * attention(norm(text)), then the same with alpha_dense, "
        "the feed-forward, and the norm of its own. Which of the two lines reads something else?",
    )
    expect_same(
        wide(text, visual),
        wide_wanted(text, visual),
        look="However far alpha is pushed, tanh(alpha) stays between -1 and 1. Is the tanh there, at both?",
    )


@claim("gated_block", "With one gate at 0, the other branch is all that is left, exactly.")
def each_gate_shuts_its_own_branch(subject, reference, draw):
    text, visual = streams(draw)
    other_picture = draw.normal(B, S, D_VISUAL)
    cross, dense = gates(draw)
    reads, reads_wanted = pair(subject, reference, draw, cross, CLOSED)
    changed = {name: p for name, p in reads_wanted.parameters().items() if not name.startswith("mlp.")}
    changed |= {n: draw.normal(*p.shape) for n, p in reads_wanted.parameters().items() if n not in changed}
    rebuilt = subject.build_with(changed, **parts())
    thinks, thinks_wanted = pair(subject, reference, draw, CLOSED, dense)
    look = "Which gate multiplies which branch, and does each branch have a gate to itself?"
    read = expect_tensor(reads(text, visual), text.shape)
    expect_same(
        rebuilt(text, visual),
        read,
        tolerance=0.0,
        look=f"alpha_dense is 0, and the feed-forward's weights still change the output. {look}",
    )
    thought = expect_tensor(thinks(text, visual), text.shape)
    expect_same(
        thinks(text, other_picture),
        thought,
        tolerance=0.0,
        look=f"alpha_cross_attn is 0, and the picture still changes the output. {look}",
    )
    expect_different(
        reads(text, other_picture),
        read,
        look=f"alpha_cross_attn is open, and the picture changes nothing. {look}",
    )
    expect_different(thought, text, look=f"alpha_dense is open, and the text comes out as it went in. {look}")
    expect_same(read, reads_wanted(text, visual), look=f"With alpha_dense at 0 the values are off. {look}")
    expect_same(
        thought, thinks_wanted(text, visual), look=f"With alpha_cross_attn at 0 the values are off. {look}"
    )


@claim("gated_block", "A negative gate takes away what its branch would have added, each gate by itself.")
def negative_gates_take_away(subject, reference, draw):
    text, visual = streams(draw)
    cross, dense = gates(draw)
    for first, second in ((-cross, dense), (cross, -dense), (-cross, -dense)):
        ours, theirs = pair(subject, reference, draw, first, second)
        expect_same(
            ours(text, visual),
            theirs(text, visual),
            look="The sign of a gate is the model's to choose: trained gates end up on either side of 0. Is "
            "it kept, at both gates?",
        )


@claim("gated_block", "The feed-forward works on the text that has read, not on the text before it.")
def the_feed_forward_hears_what_was_read(subject, reference, draw):
    text, visual = streams(draw)
    other_picture = draw.normal(B, S, D_VISUAL)
    cross, dense = gates(draw)
    both, theirs = pair(subject, reference, draw, cross, dense)
    alone = subject.build_with({**theirs.parameters(), "alpha_dense": CLOSED}, **parts())

    def dense_part(picture):
        return expect_tensor(both(text, picture), text.shape).double() - alone(text, picture)

    look = (
        "What the second branch adds has to depend on the picture, through what the first has added. Are the "
        "two branches side by side, or in the other order?"
    )
    expect_different(dense_part(visual), dense_part(other_picture).float(), look=look, least=1e-2)
    expect_same(both(text, visual), theirs(text, visual), look=look)


@claim("gated_block", "Each branch reads through a norm of its own, and the text that is added to does not.")
def only_what_is_read_is_normed(subject, reference, draw):
    text, visual = streams(draw)
    louder = 5.0 * text  # to an RMSNorm no other text than before; to the stream it is
    cross, dense = gates(draw)
    for first, second, name in ((cross, CLOSED, "attention"), (CLOSED, dense, "feed-forward")):
        ours, theirs = pair(subject, reference, draw, first, second)
        quiet = expect_tensor(ours(text, visual), text.shape).double() - text
        loud = expect_tensor(ours(louder, visual), text.shape).double() - louder
        expect_same(
            loud,
            quiet,
            tolerance=1e-3,
            look=f"What the {name} adds should not depend on how loud the text is. Which uses of the text "
            "are normed, and which is not?",
        )
        expect_same(
            quiet,
            theirs(text, visual).double() - text,
            look=f"Is it the {name}'s own norm (input_layernorm before the attention, "
            "post_attention_layernorm before the feed-forward), is it an RMSNorm, and does it come before "
            "the branch?",
        )


@claim("gated_block", "The mask arrives at the attention; text, pictures and mask are left as they came.")
def the_mask_arrives_and_nothing_is_written_into(subject, reference, draw):
    text, visual = streams(draw)
    keep = token_mask(draw)
    ours, theirs = pair(subject, reference, draw, *gates(draw))
    look = "The block itself does nothing with media_mask. Does it hand it on, as the third argument?"
    expect_same(ours(text, visual, keep), theirs(text, visual, keep), look=look)
    expect_same(ours(text, visual), theirs(text, visual), look=look)
    names = ("text", "visual", "media_mask")
    written = [names[place] for place in ours.changed_inputs(text, visual, keep) if place < len(names)]
    expect(
        not written,
        seen=f"written into: {', '.join(written)}",
        look="`text += ...` changes the caller's tensor, which others may still hold. Is a new one made?",
    )


@claim(
    "gated_block",
    "A token that keeps nothing hears no picture, and still goes through the feed-forward.",
)
def a_token_without_a_picture_still_goes_through_the_feed_forward(subject, reference, draw):
    text, visual = streams(draw)
    noise = 100 * draw.normal(B, S, D_VISUAL)
    keep = token_mask(draw)
    before = draw.integer(1, T - 2)
    keep[:, :before] = False  # the text before any picture
    cross, dense = gates(draw)
    for first, second in ((cross, CLOSED), (cross, dense), (-20 * cross, 20 * dense)):
        ours, theirs = pair(subject, reference, draw, first, second)
        seen = expect_tensor(ours(text, visual, keep), text.shape)
        expect_finite(
            seen, look="Text before any picture has to come out as numbers, whatever the gates are."
        )
        expect_same(
            expect_tensor(ours(text, noise, keep), text.shape)[:, :before],
            seen[:, :before],
            tolerance=0.0,
            look="A token whose row of the mask is empty changes with the picture. Where does it hear of it?",
        )
        if not bool(second.any()):
            expect_same(
                seen[:, :before],
                text[:, :before],
                tolerance=0.0,
                look="With alpha_dense at 0, a token that reads no picture has to come out as it went in.",
            )
        expect_same(
            seen,
            theirs(text, visual, keep),
            look="Only the attention depends on the mask. Is the feed-forward skipped where nothing is read?",
        )


@claim("gated_block", "As built, the two gates learn and nothing else does; with the gates moved, all does.")
def at_first_only_the_gates_learn(subject, reference, draw):
    text, visual = streams(draw)
    pull = draw.normal(B, T, D_TEXT)
    fresh = subject.build(**parts())
    first = fresh.gradients(text, visual, cotangent=pull)
    for name in GATES:
        got = first.parameters.get(name)
        expect(
            got is not None, seen=f"no gradient arrives at {name}", look="Is it an nn.Parameter, and used?"
        )
        expect_different(
            got,
            torch.zeros_like(got),
            look=f"{name} gets its gradient from what its branch made. If that is 0 as well (a second zero), "
            "nothing will ever move. Is anything but the gates set to 0?",
        )
    awake = [n for n, g in first.parameters.items() if n not in GATES and g is not None and bool(g.any())]
    expect(
        not awake,
        seen=f"besides the gates, a gradient arrives at {', '.join(awake[:4])}",
        look="Behind a closed gate no gradient passes. Are both gates closed when the block is built?",
    )
    # One step of plain descent on the gates alone, which is all that the first step can do.
    weights = fresh.parameters()
    moved = {name: weights[name] - 0.1 * first.parameters[name] for name in GATES}
    later = subject.build_with({**weights, **moved}, **parts())
    step = later.gradients(text, visual, cotangent=pull)
    asleep = [n for n in weights if step.parameters.get(n) is None or not bool(step.parameters[n].any())]
    expect(
        not asleep,
        seen=f"one step later, still no gradient at {', '.join(asleep[:4])}",
        look="Once its gate has moved, everything in a branch learns. Is a tensor detached, a parameter not "
        "used, or a second zero left?",
    )
    ours, theirs = pair(subject, reference, draw, *gates(draw))
    mine = ours.gradients(text, visual, cotangent=pull)
    right = theirs.gradients(text, visual, cotangent=pull)
    look = "With the gates open, everything in the block learns. Is a tensor detached, or a gate shared?"
    for name, wanted in right.parameters.items():
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"with the gates open, no gradient arrives at {name}", look=look)
        expect_same(got, wanted, look=f"The gradient of {name} differs. {look}", tolerance=1e-4)
    for name, got, wanted in zip(("text", "visual"), mine.inputs, right.inputs, strict=False):
        expect(got is not None, seen=f"with the gates open, no gradient arrives at {name}", look=look)
        expect_same(got, wanted, look=f"The gradient that arrives at {name} differs. {look}", tolerance=1e-4)
