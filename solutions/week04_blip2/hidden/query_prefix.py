"""Hidden checks of query_prefix. The Q-Former is a stand-in: this is about what stage 2 keeps."""

import torch

from course_lib.blip2_stage2 import QueryPrefix
from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_equal,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

REFERENCE = QueryPrefix

D, D_VISUAL, D_TEXT = 6, 5, 9
B, Q, V = 2, 4, 7


def qformer(n_layers=3, text=1):
    return stand_in("tiny_qformer", d_model=D, d_visual=D_VISUAL, n_layers=n_layers, text=text)


def pair(subject, reference, draw, **kwargs):
    return build_pair(
        subject, reference, draw, draw.normal(1, Q, D), qformer(**kwargs), d_text=D_TEXT, std=0.5
    )


def after_stage_1(subject, draw):
    """(queries, a Q-Former on the learner's side, its weights), all drawn."""
    built = subject.build_stand_in("tiny_qformer", d_model=D, d_visual=D_VISUAL, n_layers=3)
    weights = draw.weights_like(built.parameters(), std=0.5)
    load_or_fail(built, weights)
    built.eval()
    return draw.normal(1, Q, D), built, weights


@claim("query_prefix", "Each query reads the picture, and the projection makes one word of each.", weight=2)
def queries_read_and_are_projected(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    for b in (B, 1):
        visual = draw.normal(b, V, D_VISUAL)
        seen = expect_tensor(ours(visual), (b, Q, D_TEXT), look="One word for every query of every picture.")
        expect_same(
            seen,
            theirs(visual),
            look="queries -> Q-Former -> language_projection, and nothing else on the way. Do all tokens go "
            "in as queries, and may they all see each other?",
        )


@claim("query_prefix", "A patch that the mask hides changes nothing; a patch that it keeps does.")
def the_mask_arrives_at_the_qformer(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    visual, keep = draw.normal(B, V, D_VISUAL), draw.keep_mask(B, V)
    garbage = torch.where(keep[..., None], visual, 3 * draw.normal(*visual.shape))
    look = "True in visual_mask means KEEP. Does the mask arrive at the Q-Former, as it is?"
    clean = expect_tensor(ours(visual, keep), (B, Q, D_TEXT))
    expect_same(ours(garbage, keep), clean, look=look)
    expect_same(clean, theirs(visual, keep), look=look)
    expect_different(ours(visual, ~keep), clean, look=look)


@claim("query_prefix", "The text's feed-forwards are gone, and nothing besides.")
def only_the_text_side_is_dropped(subject, reference, draw):
    for n_layers in (3, 2):
        args = (draw.normal(1, Q, D), qformer(n_layers), D_TEXT)
        expect_equal(
            sorted(subject.build(*args).parameters()),
            sorted(reference.build(*args).parameters()),
            name="the list of parameters",
            look="Which two parts of a layer does no query ever pass through? Are they gone from every "
            "layer, and everything that a query does pass through still there?",
        )


@claim("query_prefix", "A Q-Former that has no text side is taken as it is.", weight=0.5)
def nothing_to_drop_is_fine(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw, n_layers=2, text=0)
    visual = draw.normal(B, V, D_VISUAL)
    look = "This Q-Former was built with text=False. What is there to delete?"
    expect_same(ours(visual), theirs(visual), look=look)


@claim("query_prefix", "It starts where stage 1 ended: with its queries and its weights.")
def it_starts_where_stage_1_ended(subject, reference, draw):
    queries, stage1, weights = after_stage_1(subject, draw)
    built = subject.build(queries, stage1, D_TEXT)
    found = built.parameters()
    look = "What stage 1 has learned is what stage 2 begins with. Is anything drawn anew?"
    if "query_tokens" in found:
        expect_same(found["query_tokens"], queries, tolerance=0.0, look=look)
    kept = [name for name in found if name.startswith("qformer.")]
    expect(bool(kept), seen="no parameter begins with qformer.", look="Is the Q-Former kept as self.qformer?")
    for name in kept:
        wanted = weights.get(name.removeprefix("qformer."))
        expect(wanted is not None, seen=f"a parameter {name} that stage 1 does not have", look=look)
        expect_same(found[name], wanted, tolerance=0.0, look=look)


@claim("query_prefix", "Stage 1's Q-Former stays whole, and nothing is shared with it.")
def stage_1_stays_as_it_was(subject, reference, draw):
    queries, stage1, weights = after_stage_1(subject, draw)
    built = subject.build(queries, stage1, D_TEXT)
    built.eval()
    visual = draw.normal(B, V, D_VISUAL)
    before = expect_tensor(built(visual), (B, Q, D_TEXT))
    left = stage1.parameters()
    expect(
        left.keys() == weights.keys(),
        seen=f"of {len(weights)} parameters of the Q-Former that was given, {len(left)} are left",
        look="Who else may still need the Q-Former that you were given, with its text side?",
    )
    load_or_fail(stage1, draw.weights_like(weights, std=0.5))
    expect_same(
        built(visual),
        before,
        tolerance=0.0,
        look="Stage 1 was trained on, and your prefix moved with it. Whose parameters does it hold?",
    )


@claim("query_prefix", "Queries, the whole Q-Former and the projection train.", weight=3)
def the_whole_of_it_trains(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    visual, pull = draw.normal(B, V, D_VISUAL), draw.normal(B, Q, D_TEXT)
    report = ours.report()["requires_grad"]
    frozen = [name for name, trains in report.items() if not trains]
    look = (
        "Stage 2 trains the queries, every layer of the Q-Former and the projection. What keeps a gradient "
        "from arriving: requires_grad, no_grad, a detach, or a tensor that is no parameter?"
    )
    expect(not frozen, seen=f"{len(frozen)} parameters do not train, among them {frozen[:1]}", look=look)
    mine = ours.gradients(visual, cotangent=pull)
    right = theirs.gradients(visual, cotangent=pull)
    for name, wanted in right.parameters.items():
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
    got = mine.inputs[0] if mine.inputs else None
    expect(got is not None, seen="no gradient arrives at visual", look=look)
    expect_same(got, right.inputs[0], tolerance=1e-4, look=look)


@claim("query_prefix", "Queries of another shape are refused, with the shape.", weight=0.5)
def another_shape_of_queries_is_refused(subject, reference, draw):
    subject.build(draw.normal(1, Q, D), qformer(), D_TEXT)  # the right shape is accepted
    look = "query_tokens is (1, queries, width). Say in the message what shape was given instead."
    for shape in ((11, D), (3, 13, D)):
        expect_raises(
            lambda shape=shape: subject.build(draw.normal(*shape), qformer(), D_TEXT),
            "ValueError",
            mentions=[shape[0], shape[1]],
            look=look,
        )
