"""Hidden checks of flamingo. Model and blocks are stand-ins: this exercise is about where blocks stand."""

import torch

from course_lib.checking import (
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
from course_lib.errors import SubjectError
from course_lib.flamingo import Flamingo

REFERENCE = Flamingo

N_WORDS, D_TEXT, D_VISUAL = 11, 6, 5
B, T, S = 2, 7, 4
ALONE = (
    "Whoever calls the language model itself has to get the language model itself, before, between and after "
    "your calls. Who tells a block that it is not its turn?"
)


def blocks(n):
    return stand_in("adding_blocks", n=n, d_text=D_TEXT, d_visual=D_VISUAL)


def wrapped(side, n_layers, interval, n_blocks=None, by_keyword=0):
    """A language model on one side, and the Flamingo around it."""
    decoder = side.build_stand_in(
        "tiny_decoder", n_words=N_WORDS, d_text=D_TEXT, n_layers=n_layers, by_keyword=by_keyword
    )
    places = len(range(0, n_layers, interval)) if n_blocks is None else n_blocks
    return side.build(decoder, blocks(places), interval), decoder


def drawn(draw, parameters, closed=False):
    """Weights for a Flamingo. `strength` is well away from 0, on either side, or exactly 0."""
    weights = draw.weights_like(parameters, std=0.6)
    for name in weights:
        if name.endswith("strength"):
            open_to = draw.uniform(0.8, 1.6, 1) * (1 if draw.integer(0, 2) else -1)
            weights[name] = torch.zeros(1) if closed else open_to
    return weights


def pair(subject, reference, draw, n_layers, interval, closed=False, by_keyword=0):
    """((yours, the language model in it), the reference), alike in their weights, in eval mode."""
    theirs, _ = wrapped(reference, n_layers, interval, by_keyword=by_keyword)
    weights = drawn(draw, theirs.parameters(), closed)
    ours, decoder = wrapped(subject, n_layers, interval, by_keyword=by_keyword)
    for side in (ours, theirs):
        load_or_fail(side, weights)
        side.eval()
    return (ours, decoder), theirs


def row(draw):
    """(ids, visual, media_mask) of a batch; True = keep."""
    mask = draw.uniform(0, 1, B, T, S) < 0.6
    mask[0, 0] = False
    return draw.integers(0, N_WORDS, B, T), draw.normal(B, S, D_VISUAL), mask


@claim("flamingo", "Block j reads before layer j * interval, and nobody else does.", weight=2)
def blocks_stand_before_every_nth_layer(subject, reference, draw):
    for n_layers, interval in ((3, 1), (4, 2), (5, 2), (5, 3)):
        (ours, _), theirs = pair(subject, reference, draw, n_layers, interval)
        ids, visual, mask = row(draw)
        expect_same(
            ours(visual, mask, ids),
            theirs(visual, mask, ids),
            look=f"{n_layers} layers, interval {interval}: blocks stand before layers "
            f"{', '.join(str(i) for i in range(0, n_layers, interval))}. Does each of them read once, in its "
            "own place, what the layer would have read, and does the layer read what the block returns?",
        )


@claim(
    "flamingo",
    "With closed blocks it is the language model, bit for bit, whatever the picture; with open ones not.",
)
def closed_blocks_leave_the_model_as_it_is(subject, reference, draw):
    (ours, decoder), _ = pair(subject, reference, draw, 4, 2, closed=True)
    ids, visual, mask = row(draw)
    alone = expect_tensor(decoder(ids), (B, T, N_WORDS))
    look = "A block with strength 0 returns its text unchanged. What else happens to the stream on the way?"
    for picture in (visual, 100 * draw.normal(B, S, D_VISUAL)):
        expect_same(ours(picture, mask, ids), alone, tolerance=0.0, look=look)
    (ours, decoder), theirs = pair(subject, reference, draw, 4, 2)
    seen = expect_tensor(ours(visual, mask, ids), (B, T, N_WORDS))
    look = "With open blocks the pictures have to change what the model says. Are the blocks called at all?"
    expect_different(seen, expect_tensor(decoder(ids), seen.shape), look=look)
    expect_same(seen, theirs(visual, mask, ids), look=look)
    expect_same(
        ours(visual, ~mask, ids),
        theirs(visual, ~mask, ids),
        look="Another media_mask, another answer. Does the mask of this very call arrive at the blocks?",
    )


@claim("flamingo", "Called on its own, the language model is itself: before, between and after.")
def the_language_model_alone_stays_itself(subject, reference, draw):
    decoder = subject.build_stand_in("tiny_decoder", n_words=N_WORDS, d_text=D_TEXT, n_layers=4)
    decoder.eval()
    ids, visual, mask = row(draw)
    before = expect_tensor(decoder(ids), (B, T, N_WORDS))
    ours = subject.build(decoder, blocks(2), 2)
    weights = {name: value for name, value in drawn(draw, ours.parameters()).items() if "blocks." in name}
    ours.load({**ours.parameters(), **weights})
    ours.eval()
    expect_same(decoder(ids), before, tolerance=0.0, look=f"It has not been called yet. {ALONE}")
    first = expect_tensor(ours(visual, mask, ids), (B, T, N_WORDS))
    expect_different(first, before, look="With open blocks the pictures have to change what the model says.")
    expect_same(decoder(ids), before, tolerance=0.0, look=ALONE)
    # A second Flamingo around the same model is none of the first one's business.
    other = subject.build(decoder, blocks(4), 1)
    other.load({**other.parameters(), **drawn(draw, {n: p for n, p in other.parameters().items()
                                                     if "blocks." in n})})  # fmt: skip
    other.eval()
    expect_tensor(other(visual, mask, ids), (B, T, N_WORDS))
    look = "Two Flamingos may share one language model. Does each call bring its own blocks, and only those?"
    expect_same(ours(visual, mask, ids), first, look=look)
    expect_same(decoder(ids), before, tolerance=0.0, look=ALONE)


@claim("flamingo", "The language model keeps its parameters' names, and each block is there once.")
def names_stay_what_they_are(subject, reference, draw):
    ours, decoder = wrapped(subject, 4, 2)
    theirs, plain = wrapped(reference, 4, 2)
    expect_equal(
        sorted(decoder.parameters()),
        sorted(plain.parameters()),
        name="the list of the language model's parameters",
        look="A checkpoint finds its weights by name. Is a layer wrapped in another module, or a block hung "
        "into it as its child?",
    )
    expect_equal(
        sorted(ours.parameters()),
        sorted(theirs.parameters()),
        name="the list of all parameters",
        look="Two parts: self.language_model, as it came, and self.blocks. Is one of them a plain list, or a "
        "block in two places?",
    )
    # It is the very model that was given, not a copy: new weights in the one are new weights in the other.
    load_or_fail(ours, drawn(draw, theirs.parameters()))
    ids, visual, mask = row(draw)
    ours.eval()
    old = expect_tensor(ours(visual, mask, ids), (B, T, N_WORDS))
    load_or_fail(decoder, draw.weights_like(plain.parameters(), std=0.6))
    look = "The model inside has to be the one that was given. A copy would be frozen twice and stored twice."
    expect_different(ours(visual, mask, ids), old, look=look)


@claim("flamingo", "No call remembers another one, also where one ended in an error.")
def no_call_remembers_another(subject, reference, draw):
    (ours, decoder), theirs = pair(subject, reference, draw, 4, 2)
    ids, visual, mask = row(draw)
    alone = expect_tensor(decoder(ids), (B, T, N_WORDS))
    for _ in range(3):
        again, other_mask = draw.normal(B, S, D_VISUAL), draw.uniform(0, 1, B, T, S) < 0.5
        expect_same(
            ours(again, other_mask, ids),
            theirs(again, other_mask, ids),
            look="Each call brings its own pictures. What is left of the call before it, hooks included?",
        )
    too_long = torch.ones(B, T + 1, dtype=torch.bool)  # an error in the middle of the language model
    try:
        ours(visual, mask, ids, too_long)
    except SubjectError as problem:
        if problem.kind == "NotImplementedError":
            raise
    else:
        expect(
            False,
            seen="an error inside the language model did not come out",
            look="An error that you catch and keep leaves the caller with a wrong answer.",
        )
    look = "The call before this one ended in an error inside the language model. Was it tidied up even then?"
    expect_same(decoder(ids), alone, tolerance=0.0, look=look)
    expect_same(ours(visual, mask, ids), theirs(visual, mask, ids), look=look)


@claim("flamingo", "Layers may get their hidden states by position or by the name hidden_states.")
def hidden_states_by_name_are_met_too(subject, reference, draw):
    (ours, decoder), theirs = pair(subject, reference, draw, 5, 2, by_keyword=1)
    ids, visual, mask = row(draw)
    look = (
        "This model calls layer(hidden_states=..., keep=...), with nothing by position. Does your hook take "
        "keyword arguments (with_kwargs=True), and hand the others on?"
    )
    seen = expect_tensor(ours(visual, mask, ids), (B, T, N_WORDS))
    expect_different(seen, expect_tensor(decoder(ids), seen.shape), look=look)
    expect_same(seen, theirs(visual, mask, ids), look=look)


@claim("flamingo", "What follows the mask goes to the language model, and what that returns comes back.")
def what_follows_goes_to_the_model(subject, reference, draw):
    (ours, _), theirs = pair(subject, reference, draw, 5, 3)
    ids, visual, mask = row(draw)
    keep = torch.arange(T) < torch.tensor([[T], [T - 3]])
    look = "forward(visual, media_mask, *args, **kwargs): args and kwargs are for the language model, all."
    expect_same(ours(visual, mask, ids, keep), theirs(visual, mask, ids, keep), look=look)
    expect_same(ours(visual, mask, ids=ids, keep=keep), theirs(visual, mask, ids=ids, keep=keep), look=look)
    seen, wanted = ours(visual, mask, ids, both=True), theirs(visual, mask, ids, both=True)
    expect(
        isinstance(seen, tuple) and len(seen) == 2,
        seen=f"a {type(seen).__name__} where the language model returned a pair",
        look="What a language model returns is its own: logits, a pair, an object. Hand it on as it is.",
    )
    for mine, right in zip(seen, wanted, strict=True):
        expect_same(mine, right, look=look)


@claim("flamingo", "Gradients pass through the language model to the blocks and on to the picture.", weight=2)
def gradients_reach_blocks_and_picture(subject, reference, draw):
    (ours, _), theirs = pair(subject, reference, draw, 4, 2)
    ids, visual, mask = row(draw)
    pull = draw.normal(B, T, N_WORDS)
    mine = ours.gradients(visual, mask, ids, cotangent=pull)
    right = theirs.gradients(visual, mask, ids, cotangent=pull)
    look = (
        "The blocks learn through the layers behind them, and the resampler through the picture. Is there a "
        "no_grad or a detach on the way?"
    )
    for name, wanted in right.parameters.items():
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
    got = mine.inputs[0] if mine.inputs else None
    expect(got is not None, seen="no gradient arrives at visual", look=look)
    expect_different(got, torch.zeros(B, S, D_VISUAL), look=look)
    expect_same(got, right.inputs[0], tolerance=1e-4, look=f"The gradient at visual differs. {look}")


@claim("flamingo", "A number of blocks that does not fit is refused, with the numbers.", weight=0.5)
def a_wrong_number_of_blocks_is_refused(subject, reference, draw):
    n_layers, interval, places = ((13, 2, 7), (17, 3, 6), (19, 2, 10))[draw.integer(0, 3)]
    look = (
        f"{n_layers} layers with interval {interval}: how many of the layers have a number that {interval} "
        "divides? Say how many blocks there are, and how many there should be."
    )
    fitting, _ = wrapped(subject, n_layers, interval)  # the right number is accepted
    expect_equal(
        len([name for name in fitting.parameters() if name.endswith("strength")]),
        places,
        name="the number of blocks",
        look="Is the right number of blocks accepted, and are all of them kept?",
    )
    for n_blocks in (places + 2, places - 1):
        expect_raises(
            lambda n=n_blocks: wrapped(subject, n_layers, interval, n),
            "ValueError",
            mentions=[n_blocks, places],
            look=look,
        )
