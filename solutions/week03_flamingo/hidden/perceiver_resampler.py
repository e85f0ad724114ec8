"""Hidden checks of perceiver_resampler. Boolean masks say True = keep.

Axes in this file:
    b  pictures of the batch      v  visual tokens of one      q  latents      d  width of both
"""

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
from course_lib.resampler import PerceiverResampler

REFERENCE = PerceiverResampler

# No two of these are equal, nor v + q, nor heads times head width.
SIZES = {"d_model": 14, "n_latents": 5, "n_layers": 2, "n_heads": 3, "d_head": 4}
B, V, Q, D = 2, 8, SIZES["n_latents"], SIZES["d_model"]
FRAMES = 11


def pair(subject, reference, draw, std=0.5, **changed):
    return build_pair(subject, reference, draw, std=std, **{**SIZES, **changed})


def telling_mask(draw, b):
    """A keep mask in which every row hides something and has at least two left to share the attention."""
    while True:
        keep = draw.keep_mask(b, V)
        kept = keep.sum(dim=1)
        if bool(((kept >= 2) & (kept < V)).all()):
            return keep


@claim("perceiver_resampler", "On any weights, the output is the one the definition gives.", weight=4)
def values_are_those_of_the_definition(subject, reference, draw):
    visual = draw.normal(B, V, D)
    for n_layers in (1, 2):
        ours, theirs = pair(subject, reference, draw, n_layers=n_layers)
        expect_same(
            ours(visual),
            theirs(visual),
            look="In each layer: normed latents ask; the normed picture and the same normed latents answer; "
            "what was read is added to the latents as they came; then the feed-forward, added too. After "
            "the last layer, one norm. Which of these steps is yours without?",
        )


@claim("perceiver_resampler", "The latents are weights that learn, drawn at random; equal ones stay equal.")
def latents_are_learned_and_drawn_at_random(subject, reference, draw):
    # Without layers the latents are all that is drawn, so it does not matter what a learner draws first.
    fresh = subject.build(**{**SIZES, "n_layers": 0, "n_latents": 40, "d_model": 48})
    latents = fresh.parameters().get("latents")
    expect(
        latents is not None,
        seen="the module has no parameter called latents",
        look="Only an nn.Parameter is trained: a buffer or a plain tensor is not.",
    )
    expect_tensor(latents, (40, 48), look="One row for each latent, as wide as a visual token.")
    spread, mean = float(latents.double().std()), float(latents.double().mean())
    expect(
        0.9 < spread < 1.1 and abs(mean) < 0.1,
        seen=f"the latents have mean {mean:.2f} and standard deviation {spread:.2f}",
        look="They are drawn from a normal distribution with standard deviation 1. What can tell two latents "
        "apart that start alike?",
    )
    closest = float(torch.pdist(latents.double()).min())
    expect(
        closest > 0.1,
        seen=f"the two most similar latents differ by {closest:.2g}",
        look="Each latent has its own random start. Is one drawn and copied?",
    )
    ours, theirs = pair(subject, reference, draw)
    visual, weights = draw.normal(B, V, D), theirs.parameters()
    told_apart = expect_tensor(ours(visual), (B, Q, D))
    expect_different(
        told_apart[:, 1:], told_apart[:, :-1], look="Different latents have to give different outputs."
    )
    ours.load({**weights, "latents": weights["latents"][:1].repeat(Q, 1)})
    equal = expect_tensor(ours(visual), (B, Q, D))
    expect_same(
        equal[:, 1:],
        equal[:, :-1],
        look="All latents were made equal, and still the outputs differ. Latents have no order: what treats "
        "the first one and the last one differently?",
    )


@claim("perceiver_resampler", "In one layer, every visual token and every latent reaches every output.")
def everything_reaches_every_output(subject, reference, draw):
    # Gentle weights: a softmax that has made up its mind would hide an influence that is there.
    ours, theirs = pair(subject, reference, draw, std=0.25, n_layers=1)
    # Row 0 as it is, then one visual token changed in each row.
    visual = draw.normal(1, V, D).repeat(1 + V, 1, 1)
    for j in range(V):
        visual[1 + j, j] += draw.normal(D)
    base = expect_tensor(ours(visual), (1 + V, Q, D)).double()
    by_picture = (base[1:] - base[:1]).abs().amax(dim=2) > 1e-5
    expect(
        bool(by_picture.all()),
        seen=f"{int(by_picture.sum())} of {V * Q} pairs (visual token, output) have an influence",
        look="With one layer, that layer must already read the whole picture. Does it?",
    )
    weights = theirs.parameters()
    by_latents = torch.zeros(Q, Q, dtype=torch.bool)
    for i in range(Q):
        changed = {**weights, "latents": weights["latents"].clone()}
        changed["latents"][i] += draw.normal(D)
        ours.load(changed)
        moved = expect_tensor(ours(visual[:1]), (1, Q, D)).double() - base[:1]
        by_latents[i] = moved[0].abs().amax(dim=1) > 1e-5
    expect(
        bool(by_latents.all()),
        seen=f"{int(by_latents.sum())} of {Q * Q} pairs (latent, output) have an influence",
        look="The latents stand among the keys and values, behind the visual tokens. Do yours?",
    )


@claim("perceiver_resampler", "A picture is a set of its own, of any size: no order, no neighbours.")
def a_picture_is_a_set_of_any_size(subject, reference, draw):
    ours, _ = pair(subject, reference, draw)
    visual = draw.normal(B, V, D)
    seen = expect_tensor(ours(visual), (B, Q, D))
    expect_same(
        ours(visual[:, draw.permutation(V)]),
        seen,
        look="Attention has no order of its own, and without frames nothing here adds one. Where does the "
        "order come in?",
    )
    other = torch.cat([visual[:1], draw.normal(B - 1, V, D)])
    changed = expect_tensor(ours(other), (B, Q, D))
    expect_same(changed[:1], seen[:1], look="Do two pictures of a batch read each other?")
    expect_different(
        changed[1:], seen[1:], look="Another picture has to give another summary. Is it read at all?"
    )
    for v in (1, draw.integer(30, 60)):
        look = f"With {v} visual tokens. Is a length fixed somewhere?"
        longer = expect_tensor(ours(draw.normal(B, v, D)), (B, Q, D), look=look)
        expect_finite(longer, look=look)
        expect_different(longer[1:], longer[:-1], look=look)


@claim("perceiver_resampler", "What is hidden reaches no latent; the rest is read as if it stood alone.")
def hidden_tokens_reach_no_latent(subject, reference, draw):
    ours, _ = pair(subject, reference, draw)
    visual, keep = draw.normal(B, V, D), telling_mask(draw, B)
    garbage = torch.where(keep[..., None], visual, 10 * draw.normal(B, V, D))
    clean = expect_tensor(ours(visual, keep), (B, Q, D))
    look = (
        "True in visual_mask means KEEP. Is the mask inverted? Is it as long as the keys, v visual tokens "
        "and then n_latents that are always kept? Does every layer get it?"
    )
    expect_same(ours(garbage, keep), clean, look=look)
    for row in range(B):
        expect_same(ours(visual[row : row + 1, keep[row]]), clean[row : row + 1], look=look)
    expect_same(
        ours(visual, torch.ones_like(keep)), ours(visual), look="A mask that keeps all is as good as none."
    )
    other = torch.where(keep[..., None], draw.normal(B, V, D), visual)
    expect_different(ours(other, keep), clean, look="What is kept has to be read. Is it?")


@claim(
    "perceiver_resampler", "In a picture of padding the latents read each other, all finite, gradients too."
)
def a_picture_of_padding_stays_finite(subject, reference, draw):
    # Depth 1 and gentle weights, so that one latent reaches another through this one attention alone.
    ours, theirs = pair(subject, reference, draw, std=0.25, n_layers=1)
    visual, keep = draw.normal(B + 1, V, D), telling_mask(draw, B + 1)
    blind = draw.integer(0, B + 1)
    keep[blind] = False
    look = (
        "Where all visual tokens are hidden, the latents are left, and a latent always reads latents. Is "
        "something kept for every query, or is something divided by zero?"
    )
    mine = ours.gradients(visual, keep, cotangent=draw.normal(B + 1, Q, D))
    expect_finite(mine.output, look=look)
    alone = expect_tensor(mine.output, (B + 1, Q, D))[blind]
    got = mine.inputs[0] if mine.inputs else None
    expect(got is not None, seen="no gradient arrives at the picture", look="Is something detached?")
    expect_finite(got, look=look)
    for name, gradient in mine.parameters.items():
        bad = gradient is not None and not bool(torch.isfinite(gradient).all())
        expect(not bad, seen=f"the gradient of {name} is not finite", look=look)
    expect_same(ours(draw.normal(B + 1, V, D), keep)[blind], alone, look="Padding is read. Is the mask used?")
    weights, latent = theirs.parameters(), draw.integer(0, Q)
    changed = {**weights, "latents": weights["latents"].clone()}
    changed["latents"][latent] += draw.normal(D)
    ours.load(changed)
    moved = (expect_tensor(ours(visual, keep), (B + 1, Q, D))[blind] - alone).abs().amax(dim=1) > 1e-5
    expect(
        bool(moved.all()),
        seen=f"in a picture of padding, changing latent {latent} moves {int(moved.sum())} of {Q} outputs",
        look=look,
    )


@claim("perceiver_resampler", "A token of a film gets the time embedding of its own frame, and no other.")
def each_token_gets_the_embedding_of_its_frame(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw, n_frames=FRAMES)
    visual, keep, weights = draw.normal(B, V, D), telling_mask(draw, B), theirs.parameters()
    frame = torch.stack([draw.permutation(FRAMES)[:V] for _ in range(B)])
    frame[:, 0] = frame[:, 1]  # two tokens of one frame, as in every film
    dated = visual + weights["time_embeddings"][frame]
    seen = expect_tensor(ours(visual, frame=frame), (B, Q, D))
    look = (
        "frame says for each visual token which row of time_embeddings is added to it, before anything else "
        "happens to it. Which row does yours add, and where?"
    )
    expect_same(seen, ours(dated), look=look)
    expect_same(ours(visual, keep, frame), ours(dated, keep), look=f"With a mask as well. {look}")
    expect_different(
        ours(visual, frame=frame.roll(1, dims=0)), seen, look="Another frame has to give another summary."
    )
    plain = expect_tensor(ours(visual), (B, Q, D))
    ours.load({**weights, "time_embeddings": draw.normal(FRAMES, D)})
    expect_same(ours(visual), plain, look="Without frame nothing is added, not even frame 0's.")


@claim("perceiver_resampler", "Gradients arrive at every weight, and at every visual token.")
def gradients_arrive_everywhere(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw, n_frames=FRAMES)
    visual, frame = draw.normal(B, V, D), draw.integers(0, FRAMES, B, V)
    pull = draw.normal(B, Q, D)
    mine = ours.gradients(visual, frame=frame, cotangent=pull)
    right = theirs.gradients(visual, frame=frame, cotangent=pull)
    look = "Is a tensor detached, copied with torch.tensor, or a part not used?"
    for name, wanted in [*right.parameters.items(), ("the picture", right.inputs[0])]:
        got = mine.inputs[0] if name == "the picture" else mine.parameters.get(name)
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
