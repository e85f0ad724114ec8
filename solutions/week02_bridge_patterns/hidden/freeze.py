"""Hidden checks of freeze. The model is a stand-in: encoder, bridge, language model, a weight of its own."""

import torch

from course_lib.checking import (
    claim,
    expect,
    expect_different,
    expect_equal,
    expect_raises,
    expect_same,
    load_or_fail,
)
from course_lib.freezing import freeze
from course_lib.wire import ParameterOf

REFERENCE = freeze

SIZES = {"d_pixel": 6, "d_visual": 8, "d_text": 5}
B = 16
PARTS = ("encoder", "bridge", "language_model")


def pipelines(subject, reference, draw):
    """The same stand-in on both sides, with the same drawn weights and batch statistics."""
    ours, theirs = (side.build_stand_in("tiny_pipeline", **SIZES) for side in (subject, reference))
    weights = draw.weights_like(theirs.parameters(), std=0.6)
    statistics = {
        "encoder.1.running_mean": draw.normal(SIZES["d_visual"]),
        "encoder.1.running_var": draw.uniform(0.5, 2.0, SIZES["d_visual"]),
    }
    for side in (ours, theirs):
        load_or_fail(side, {**weights, **statistics})
    return ours, theirs


def names_of(returned, pipeline):
    """Names of the returned parameters; whatever is not a parameter of the pipeline keeps its type's name."""
    if not isinstance(returned, list):
        return returned
    return [
        one.name
        if isinstance(one, ParameterOf) and one.number == pipeline.handle.number
        else type(one).__name__
        for one in returned
    ]


@claim("freeze", "It returns exactly what the optimiser may change: a list, in the model's order, each once.")
def it_returns_what_the_optimiser_may_change(subject, reference, draw):
    for chosen in (["bridge"], ["language_model", "bridge"], ["encoder", "encoder"], []):
        ours, theirs = pipelines(subject, reference, draw)
        seen = names_of(subject(ours, chosen), ours)
        wanted = names_of(reference(theirs, chosen), theirs)
        expect(
            isinstance(seen, list),
            seen=f"for {chosen} it returned {type(seen).__name__} instead of a list",
            look="torch's optimisers take a list of parameters. Is there a return, and is it a list?",
        )
        expect(
            seen == wanted,
            seen=f"for {chosen} it returned {len(seen)} parameters where {len(wanted)} are right, or not in "
            "order",
            look="Are frozen ones among them, is one there twice, or do they follow the names rather than "
            "the model?",
        )


@claim("freeze", "Only the named parts ask for gradients, and calling it again starts afresh.")
def only_the_named_parts_ask_for_gradients(subject, reference, draw):
    ours, theirs = pipelines(subject, reference, draw)
    for chosen in (["bridge"], ["bridge", "language_model"], [PARTS[draw.integer(0, 3)]]):
        subject(ours, chosen)
        reference(theirs, chosen)
        seen, wanted = ours.report()["requires_grad"], theirs.report()["requires_grad"]
        awake = [name for name in wanted if seen.get(name) and not wanted[name]]
        asleep = [name for name in wanted if not seen.get(name) and wanted[name]]
        expect(
            not awake,
            seen=f"with {chosen} to train, {', '.join(awake[:4])} still asks for a gradient",
            look="Everything outside the named parts is frozen: biases, norms, and parameters that belong "
            "to the model itself and to none of its parts.",
        )
        expect(
            not asleep,
            seen=f"with {chosen} to train, {', '.join(asleep[:4])} asks for no gradient",
            look="The named parts train, also when an earlier call had frozen them.",
        )


@claim("freeze", "Frozen parts stay in eval mode through model.train(); named parts follow the model.")
def frozen_parts_stay_in_eval_mode(subject, reference, draw):
    ours, theirs = pipelines(subject, reference, draw)
    for chosen in (["bridge"], ["bridge", "language_model"]):
        for pipeline, side in ((ours, subject), (theirs, reference)):
            side(pipeline, chosen)
        steps = (
            ("after freeze", None),
            ("after model.train()", True),
            ("after model.eval()", False),
            ("later", True),
        )
        for when, mode in steps:
            for pipeline in (ours, theirs):
                if mode is not None:
                    pipeline.train(mode)
            seen, wanted = ours.report()["training"], theirs.report()["training"]
            parts = [name for name in wanted if name]  # the model's own flag, "", means nothing
            awake = [name for name in parts if seen.get(name) and not wanted[name]]
            asleep = [name for name in parts if not seen.get(name) and wanted[name]]
            when = "after a second model.train()" if when == "later" else when
            expect(
                not awake,
                seen=f"{when}, with {chosen} to train, {', '.join(awake[:4])} is in training mode",
                look="model.train() goes down into every part. How does a frozen part stay out of it, for "
                "good?",
            )
            expect(
                not asleep,
                seen=f"{when}, with {chosen} to train, {', '.join(asleep[:4])} is in eval mode",
                look="A part that trains needs its dropout: it has to follow model.train() and model.eval().",
            )


@claim("freeze", "A training step leaves every frozen number as it was, to the last bit.")
def a_training_step_changes_nothing_frozen(subject, reference, draw):
    ours, theirs = pipelines(subject, reference, draw)
    subject(ours, ["bridge"])
    reference(theirs, ["bridge"])
    pixels, pull = 3 * draw.normal(B, SIZES["d_pixel"]) + 1, draw.normal(B, SIZES["d_text"])
    before = {**ours.parameters(), **ours.report()["buffers"]}
    for pipeline in (ours, theirs):
        pipeline.train()
    mine = ours.gradients(pixels, cotangent=pull)
    right = theirs.gradients(pixels, cotangent=pull)
    after = {**ours.parameters(), **ours.report()["buffers"]}
    moved = [name for name, was in before.items() if name not in after or not torch.equal(after[name], was)]
    expect(
        not moved,
        seen=f"one step in training mode changed {', '.join(moved[:3])}",
        look="A batch norm in training mode moves its running statistics at every forward pass, gradient "
        "or not. Is the frozen part in eval mode?",
    )
    look = (
        "The step itself gives another result. Is a dropout of a frozen part at work, or one of a trained "
        "part not?"
    )
    expect_same(mine.output, right.output, look=look)
    into = [n for n, g in mine.parameters.items() if g is not None and right.parameters.get(n) is None]
    expect(
        not into,
        seen=f"a gradient arrives at {', '.join(into[:4])}",
        look="Frozen parameters take no gradient.",
    )
    # The step: what an optimiser would do with these gradients, and the model after it.
    for pipeline, gradients in ((ours, mine), (theirs, right)):
        stepped = {n: p - 0.1 * gradients.parameters[n] for n, p in pipeline.parameters().items()
                   if gradients.parameters.get(n) is not None}  # fmt: skip
        pipeline.load({**pipeline.parameters(), **stepped})
    ours.eval()
    theirs.eval()
    expect_same(ours(pixels), theirs(pixels), look="After the step the model differs. Did the bridge learn?")


@claim("freeze", "Gradients pass through the frozen parts, to the bridge and on to the picture.")
def gradients_pass_through_frozen_parts(subject, reference, draw):
    ours, theirs = pipelines(subject, reference, draw)
    pixels, pull = draw.normal(B, SIZES["d_pixel"]), draw.normal(B, SIZES["d_text"])
    subject(ours, ["bridge"])
    reference(theirs, ["bridge"])
    mine = ours.gradients(pixels, cotangent=pull)
    right = theirs.gradients(pixels, cotangent=pull)
    look = (
        "The bridge learns through the frozen language model behind it. Is there a no_grad or a detach on "
        "the way? Only the parameters are frozen; the computation is not."
    )
    for name, wanted in right.parameters.items():
        if wanted is None:
            continue
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_different(got, torch.zeros_like(wanted), least=1e-6, look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
    got = mine.inputs[0] if mine.inputs else None
    expect(got is not None, seen="no gradient arrives at the picture", look=look)
    expect_same(got, right.inputs[0], tolerance=1e-4, look=f"The gradient at the picture differs. {look}")


@claim(
    "freeze", "A name that the model does not have is a ValueError that lists the ones it has.", weight=0.5
)
def an_unknown_name_is_an_error_that_lists_the_known(subject, reference, draw):
    ours, theirs = pipelines(subject, reference, draw)
    stranger = f"part{draw.integer(100, 1000)}"
    expect_raises(
        lambda: subject(ours, ["bridge", stranger]),
        "ValueError",
        mentions=[stranger, *PARTS],
        look="A misspelt name would otherwise train nothing, in silence. named_children() knows the right "
        "ones.",
    )
    # The same call without the stranger works, so that an error for everything earns nothing.
    seen, wanted = names_of(subject(ours, ["bridge"]), ours), names_of(reference(theirs, ["bridge"]), theirs)
    expect_equal(seen, wanted, name="what it returns for a known name", look="Is a known name accepted?")
