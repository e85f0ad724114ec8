"""Hidden checks of stream_fusion. Language model, entrance and blocks are stand-ins: it is about the wiring.

Logits are compared where a word is real. What is said at padding is nobody's business, so no check asks.

Axes in this file:
    b  rows    v  visual tokens    p  visual tokens in the stream    t  words    s  the stream: p, then t
"""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_raises,
    expect_same,
    expect_tensor,
    stand_in,
)
from course_lib.stream_fusion import StreamFusion

REFERENCE = StreamFusion

WORDS, D_TEXT, D_VISUAL = 23, 8, 6
B, V, P, T = 3, 5, 4, 7


def places(n_layers, interval):
    return -(-n_layers // interval)


def parts(n_layers=4, interval=1, p=P, enter=True, blocks=True, frozen=1, n_blocks=None):
    """Arguments to build with. Everything is called by name here, as the exercise states the names."""
    n = places(n_layers, interval) if n_blocks is None else n_blocks
    given = {
        "language_model": stand_in(
            "tiny_reader", n_words=WORDS, d_text=D_TEXT, n_layers=n_layers, frozen=frozen
        ),
        "interval": interval,
    }
    if enter:
        given["enter"] = stand_in("tiny_entrance", d_visual=D_VISUAL, d_text=D_TEXT, n_tokens=p)
    if blocks:
        given["blocks"] = stand_in("linear_reads", n=n, d_text=D_TEXT, d_visual=D_VISUAL)
    return given


def pair(subject, reference, draw, **kwargs):
    return build_pair(subject, reference, draw, std=0.5, **parts(**kwargs))


def asked(draw, b=B, v=V, t=T):
    """A picture, words, and a mask that keeps all of them."""
    keep = torch.ones(b, t, dtype=torch.bool)
    return draw.normal(b, v, D_VISUAL), draw.integers(0, WORDS, b, t), keep


def padded(draw, b=B, t=T):
    """bool[b t], True = keep: padding in front, behind and in the middle, in a row each."""
    keep = torch.ones(b, t, dtype=torch.bool)
    keep[0, : draw.integer(1, t - 2)] = False
    keep[1, draw.integer(2, t) :] = False
    keep[2, draw.integer(1, t - 1)] = False
    return keep[draw.permutation(b)]


def at_words(seen, keep, look="Words and vocabulary: one row of logits for each word."):
    return expect_tensor(seen, (*keep.shape, WORDS), look=look)[keep]


@claim("stream_fusion", "In front: the picture's tokens, then the words, and logits at the words.", weight=2)
def in_front_the_picture_is_read_first(subject, reference, draw):
    look = (
        "One stream: what enter makes of the picture, then the embedded words, unchanged. Which of the "
        "logits stand at words, and do the positions run through all of it?"
    )
    for p, v, t in ((P, V, T), (1, 9, 5), (6, 2, 3)):
        ours, theirs = pair(subject, reference, draw, p=p, blocks=False)
        given = asked(draw, v=v, t=t)
        expect_same(
            expect_tensor(ours(*given), (B, t, WORDS), look=look), theirs(*given), look=look, tolerance=1e-4
        )


@claim("stream_fusion", "Padding among the words is not seen, and does not count as a place.")
def padding_is_not_there(subject, reference, draw):
    look = (
        "True in keep is a real word, and every visual token is real. Is the mask as long as the stream, and "
        "are the positions counted over what is real?"
    )
    for blocks in (False, True):
        ours, theirs = pair(subject, reference, draw, blocks=blocks)
        visual, ids, _ = asked(draw)
        keep = padded(draw)
        clean = at_words(ours(visual, ids, keep), keep)
        expect_same(clean, at_words(theirs(visual, ids, keep), keep), look=look, tolerance=1e-4)
        garbage = torch.where(keep, ids, (ids + draw.integers(1, WORDS, *ids.shape)) % WORDS)
        expect_same(at_words(ours(visual, garbage, keep), keep), clean, look=look)
        other = torch.where(keep, (ids + 1) % WORDS, ids)
        expect_different(at_words(ours(visual, other, keep), keep), clean, look="The words count.")


@claim("stream_fusion", "Blocks alone: block n stands before layer n * interval, from layer 0 on.", weight=2)
def blocks_stand_before_their_layers(subject, reference, draw):
    for n_layers, interval in ((3, 1), (5, 2), (4, 3), (2, 4)):
        ours, theirs = pair(subject, reference, draw, n_layers=n_layers, interval=interval, enter=False)
        given = asked(draw)
        expect_same(
            expect_tensor(ours(*given), (B, T, WORDS), look="Without enter, the stream is the words."),
            theirs(*given),
            tolerance=1e-4,
            look=f"{n_layers} layers, interval {interval}: before which layers does a block stand, and which "
            "block? before_layer(i, hidden) is called before layer i.",
        )


@claim(
    "stream_fusion", "Both: blocks change the words alone, and the picture's tokens pass them by.", weight=2
)
def a_hybrid_has_both_doors(subject, reference, draw):
    for n_layers, interval, p in ((3, 1, 4), (4, 2, 3)):
        ours, theirs = pair(subject, reference, draw, n_layers=n_layers, interval=interval, p=p)
        given = asked(draw)
        expect_same(
            expect_tensor(ours(*given), (B, T, WORDS), look="Logits at the words, and at nothing else."),
            theirs(*given),
            tolerance=1e-4,
            look="A block gets hidden without its first p tokens. Do these p come back as the layer before "
            "left them, in front?",
        )


@claim("stream_fusion", "The blocks get visual_mask as it is: what it hides changes nothing there.")
def the_mask_arrives_at_the_blocks(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw, n_layers=3, enter=False)
    visual, ids, keep = asked(draw)
    mask = draw.keep_mask(B, V)
    look = "True in visual_mask means KEEP: a visual token that a block may read. Which mask do blocks get?"
    clean = expect_tensor(ours(visual, ids, keep, mask), (B, T, WORDS), look=look)
    expect_same(clean, theirs(visual, ids, keep, mask), look=look, tolerance=1e-4)
    garbage = torch.where(mask[..., None], visual, 3 * draw.normal(*visual.shape))
    expect_same(ours(garbage, ids, keep, mask), clean, look=look)
    expect_different(ours(visual, ids, keep, ~mask), clean, look=look)
    for p in (P, V):  # as many tokens in front as there are visual ones, too: they stay real
        ours, theirs = pair(subject, reference, draw, n_layers=3, p=p)
        seen = expect_tensor(ours(visual, ids, keep, mask), (B, T, WORDS), look=look)
        expect_same(
            seen,
            theirs(visual, ids, keep, mask),
            tolerance=1e-4,
            look="visual_mask is for the blocks. What enter returned is real in the stream, all of it.",
        )


@claim("stream_fusion", "Whoever says who sees whom, or what stands where, is obeyed.", weight=2)
def what_is_given_is_used(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw, n_layers=3)
    visual, ids, _ = asked(draw)
    keep = padded(draw)
    s = P + T
    plain = at_words(ours(visual, ids, keep), keep)
    # Nobody looks at padding: where it stands, and so what it says, is left to whoever counts.
    real = torch.cat([keep.new_ones(B, P), keep], dim=1)
    sees = (draw.uniform(0, 1, B, s, s) < 0.5) & real[:, None] | torch.eye(s, dtype=torch.bool)
    positions = draw.integers(0, 30, B, s)
    for name, given in (
        ("sees", {"sees": sees}),
        ("positions", {"positions": positions}),
        ("sees and positions", {"sees": sees, "positions": positions}),
    ):
        look = f"{name}: of the whole stream, and given. Does it arrive at the language model as it is?"
        seen = at_words(ours(visual, ids, keep, **given), keep, look=look)
        expect_same(seen, at_words(theirs(visual, ids, keep, **given), keep), look=look, tolerance=1e-4)
        expect_different(seen, plain, look=look)


@claim("stream_fusion", "Through the frozen language model a gradient arrives at enter, blocks and picture.")
def gradients_pass_through_the_frozen_model(subject, reference, draw):
    look = (
        "Frozen means that the language model's own numbers stay. What keeps a gradient from passing through "
        "it: no_grad, a detach, a copy?"
    )
    for p, blocks in ((P, True), (3, False)):
        ours, theirs = pair(subject, reference, draw, n_layers=3, p=p, blocks=blocks)
        given, pull = asked(draw), draw.normal(B, T, WORDS)
        mine, right = (one.gradients(*given, cotangent=pull) for one in (ours, theirs))
        for name, wanted in right.parameters.items():
            got = mine.parameters.get(name)
            if wanted is None:
                expect(got is None, seen=f"a gradient at {name}, which is frozen", look=look)
                continue
            expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
            expect_same(got, wanted, tolerance=1e-3, look=f"The gradient of {name} differs. {look}")
        expect(
            bool(mine.inputs) and mine.inputs[0] is not None, seen="none arrives at the picture", look=look
        )
        expect_same(mine.inputs[0], right.inputs[0], tolerance=1e-3, look=look)


@claim("stream_fusion", "It freezes nothing and wakes nothing: who trains is decided outside.", weight=0.5)
def who_trains_is_decided_outside(subject, reference, draw):
    for frozen in (0, 1):
        trains = subject.build(**parts(frozen=frozen)).report()["requires_grad"]
        wanted = reference.build(**parts(frozen=frozen)).report()["requires_grad"]
        other = sorted(name for name in wanted if trains.get(name) != wanted[name])
        expect(
            not other,
            seen=f"{len(other)} parameters are not as they were given, among them {', '.join(other[:1])}",
            look="Raw patches need a language model that trains, a projector one that is frozen. Whoever "
            "calls you knows which; do you touch requires_grad?",
        )


@claim("stream_fusion", "No way in, or blocks that do not fit the layers, is a ValueError with the numbers.")
def what_does_not_fit_is_refused(subject, reference, draw):
    subject.build(**parts())
    subject.build(**parts(blocks=False, interval=3))
    expect_raises(
        lambda: subject.build(**parts(enter=False, blocks=False)),
        "ValueError",
        look="Neither enter nor blocks: how would anything of the picture arrive?",
    )
    for n_layers, interval, n_blocks in ((5, 2, 2), (5, 2, 5), (6, 4, 1), (4, 1, 5)):
        expect_raises(
            lambda n_layers=n_layers, interval=interval, n_blocks=n_blocks: subject.build(
                **parts(n_layers=n_layers, interval=interval, n_blocks=n_blocks)
            ),
            "ValueError",
            mentions=[n_blocks, places(n_layers, interval)],
            look=f"{n_layers} layers with interval {interval} have places for "
            f"{places(n_layers, interval)} blocks. Does the message say how many were given, and how many "
            "fit?",
        )
    expect_raises(
        lambda: subject.build(**parts(interval=0, n_blocks=4)),
        "ValueError",
        mentions=[0],
        look="interval=0 is no distance between layers.",
    )
