"""Hidden checks of parameter_groups. The model is a stand-in: resampler, blocks, and a language model."""

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
from course_lib.flamingo import parameter_groups
from course_lib.wire import ParameterOf

REFERENCE = parameter_groups

N_WORDS, D_TEXT, D_VISUAL = 13, 6, 5
SIZES = {"n_words": N_WORDS, "d_text": D_TEXT, "n_layers": 2, "d_visual": D_VISUAL, "n_blocks": 3}
B, T, S = 2, 7, 4
EMBEDDING = "language_model.model.embed_tokens.weight"


def models(subject, reference, draw):
    """The same stand-in on both sides, with the same drawn weights and running means."""
    ours, theirs = (side.build_stand_in("tiny_flamingo", **SIZES) for side in (subject, reference))
    weights = draw.weights_like(theirs.parameters(), std=0.6)
    for name in weights:
        if name.endswith("strength"):
            weights[name] = draw.uniform(0.8, 1.6, 1)
    drift = {name: draw.normal(D_TEXT, std=0.3) for name in theirs.report()["buffers"]}
    for side in (ours, theirs):
        load_or_fail(side, {**weights, **drift})
    return ours, theirs


def new_ids(draw):
    """Three ids, not in order, never only the last ones nor only the first."""
    return draw.permutation(N_WORDS - 2)[:3] + 1


def row(draw, new):
    """(ids, visual, media_mask); True = keep. Every new word is read."""
    ids = draw.integers(0, N_WORDS, B, T)
    ids[0, : len(new)] = new
    mask = draw.uniform(0, 1, B, T, S) < 0.6
    mask[:, 1:, 0] = True
    return ids, draw.normal(B, S, D_VISUAL), mask


def groups_of(returned, model):
    """[(names, weight decay)], or a failure that says what came instead."""
    look = (
        'torch\'s optimisers take a list of dicts: {"params": [...], "weight_decay": ...}, here two of them.'
    )
    fits = isinstance(returned, list) and all(
        isinstance(group, dict) and isinstance(group.get("params"), list) and "weight_decay" in group
        for group in returned
    )
    expect(fits, seen=f"{type(returned).__name__} {str(returned)[:60]}", look=look)
    found = []
    for group in returned:
        names = [
            one.name
            if isinstance(one, ParameterOf) and one.number == model.handle.number
            else type(one).__name__
            for one in group["params"]
        ]
        found.append((names, group["weight_decay"]))
    return found


@claim(
    "parameter_groups",
    "The language model asks for no gradient, but for its embedding; everything else does.",
)
def only_what_trains_asks_for_a_gradient(subject, reference, draw):
    for new in (new_ids(draw), torch.zeros(0, dtype=torch.long)):
        ours, theirs = models(subject, reference, draw)
        subject(ours, new, 0.1)
        reference(theirs, new, 0.1)
        seen, wanted = ours.report()["requires_grad"], theirs.report()["requires_grad"]
        awake = [name for name in wanted if seen.get(name) and not wanted[name]]
        asleep = [name for name in wanted if not seen.get(name) and wanted[name]]
        expect(
            not awake,
            seen=f"with {len(new)} new ids, {', '.join(awake[:4])} still asks for a gradient",
            look="Frozen are all of the language model's parameters: matrices, biases, norms. The embedding "
            "is an exception only where there are new tokens.",
        )
        expect(
            not asleep,
            seen=f"with {len(new)} new ids, {', '.join(asleep[:4])} asks for no gradient",
            look="Everything outside the language model starts from random numbers, the resampler too, and "
            "so do the rows of new tokens. Who should teach them?",
        )


@claim("parameter_groups", "The language model sleeps through model.train(), and the other parts do not.")
def the_language_model_sleeps_through_train(subject, reference, draw):
    ours, theirs = models(subject, reference, draw)
    new = new_ids(draw)
    subject(ours, new, 0.1)
    reference(theirs, new, 0.1)
    steps = (
        ("after parameter_groups", None),
        ("after model.train()", True),
        ("after model.eval()", False),
        ("after a second model.train()", True),
    )
    for when, mode in steps:
        for model in (ours, theirs):
            if mode is not None:
                model.train(mode)
        seen, wanted = ours.report()["training"], theirs.report()["training"]
        parts = [name for name in wanted if name]  # the model's own flag, "", means nothing
        awake = [name for name in parts if seen.get(name) and not wanted[name]]
        asleep = [name for name in parts if not seen.get(name) and wanted[name]]
        expect(
            not awake,
            seen=f"{when}, {', '.join(awake[:3])} is in training mode",
            look="Every training loop calls model.train(), which goes down into all parts. What keeps the "
            "language model out of it, for good?",
        )
        expect(
            not asleep,
            seen=f"{when}, {', '.join(asleep[:3])} is in eval mode",
            look="What trains needs its dropout: it has to follow model.train() and model.eval().",
        )
    given = row(draw, new)
    before = ours.report()["buffers"]
    expect_same(
        ours(*given), theirs(*given), look="In training mode the answer differs. Is a frozen dropout awake?"
    )
    after = ours.report()["buffers"]
    moved = [name for name, was in before.items() if name not in after or not torch.equal(after[name], was)]
    expect(
        not moved,
        seen=f"one forward pass in training mode moved {', '.join(moved[:3])}",
        look="Running statistics move without any gradient. Is the language model in eval mode?",
    )


@claim(
    "parameter_groups",
    "Gradients pass through the frozen model to blocks, resampler and picture.",
    weight=1.5,
)
def gradients_pass_through_the_frozen_model(subject, reference, draw):
    ours, theirs = models(subject, reference, draw)
    new = new_ids(draw)
    subject(ours, new, 0.1)
    reference(theirs, new, 0.1)
    given, pull = row(draw, new), draw.normal(B, T, N_WORDS)
    for model in (ours, theirs):
        model.eval()
    mine = ours.gradients(*given, cotangent=pull)
    right = theirs.gradients(*given, cotangent=pull)
    look = (
        "All that a block ever learns comes to it through the frozen layers behind it. Is there a no_grad or "
        "a detach on the way, or is the part itself frozen?"
    )
    for name, wanted in right.parameters.items():
        if wanted is None or name == EMBEDDING:
            continue
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_different(got, torch.zeros_like(wanted), least=1e-6, look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
    got = mine.inputs[1] if len(mine.inputs) > 1 else None
    expect(got is not None, seen="no gradient arrives at the picture", look=look)
    expect_same(got, right.inputs[1], tolerance=1e-4, look=f"The gradient at the picture differs. {look}")


@claim("parameter_groups", "Of the embedding, the rows of new tokens get a gradient and no other row does.")
def only_new_rows_get_a_gradient(subject, reference, draw):
    ours, theirs = models(subject, reference, draw)
    new = new_ids(draw)
    subject(ours, new, 0.1)
    reference(theirs, new, 0.1)
    given, pull = row(draw, new), draw.normal(B, T, N_WORDS)
    for model in (ours, theirs):
        model.eval()
    mine = ours.gradients(*given, cotangent=pull).parameters.get(EMBEDDING)
    right = theirs.gradients(*given, cotangent=pull).parameters[EMBEDDING]
    expect(
        mine is not None,
        seen="no gradient arrives at the embedding",
        look="A new tag's row is random numbers until somebody trains it.",
    )
    is_new = torch.zeros(N_WORDS, dtype=torch.bool)
    is_new[new] = True
    expect_same(
        mine[~is_new],
        torch.zeros_like(right[~is_new]),
        tolerance=0.0,
        look="requires_grad is for a whole tensor, and a row is not one. Who sets the gradient of the old "
        "rows to 0 before the optimiser sees it, and are these the old rows?",
    )
    look = "A new row gets the very gradient that it would get if all were trained. Is it cut, or scaled?"
    expect_different(mine[is_new], torch.zeros_like(right[is_new]), look=look)
    expect_same(mine[is_new], right[is_new], tolerance=1e-4, look=look)


@claim("parameter_groups", "Each parameter that trains is in one group, once, and no frozen one is in any.")
def each_trainable_parameter_is_there_once(subject, reference, draw):
    for new in (new_ids(draw), torch.zeros(0, dtype=torch.long)):
        ours, theirs = models(subject, reference, draw)
        seen = [name for names, _ in groups_of(subject(ours, new, 0.1), ours) for name in names]
        wanted = {name for names, _ in groups_of(reference(theirs, new, 0.1), theirs) for name in names}
        twice = sorted({name for name in seen if seen.count(name) > 1})
        frozen, missing = sorted(set(seen) - wanted), sorted(wanted - set(seen))
        expect(
            not twice,
            seen=f"in two places: {', '.join(twice[:4])}",
            look="torch refuses a parameter in two groups. What is in the second group has to be what "
            "is not in the first.",
        )
        expect(
            not frozen,
            seen=f"with {len(new)} new ids, in a group but frozen, or no parameter: {', '.join(frozen[:4])}",
            look="An optimiser gets what trains. What asks for no gradient has no place in a group.",
        )
        expect(
            not missing,
            seen=f"with {len(new)} new ids, in no group: {', '.join(missing[:4])}",
            look="What is in no group keeps its random numbers for ever. Does every trainable parameter have "
            "a place?",
        )


@claim(
    "parameter_groups", "The matrices of the blocks decay, by the amount asked for, and nothing else does."
)
def what_decays_are_the_matrices_of_the_blocks(subject, reference, draw):
    ours, theirs = models(subject, reference, draw)
    new, amount = new_ids(draw), float(draw.uniform(0.05, 0.4, 1))
    seen, wanted = (
        groups_of(side(model, new, amount), model) for side, model in ((subject, ours), (reference, theirs))
    )
    should = {name for names, decay in wanted if decay for name in names}
    does = {name: decay for names, decay in seen for name in names if decay != 0}
    wrongly, kept = sorted(set(does) - should), sorted(should - set(does))
    expect(
        not wrongly,
        seen=f"decays: {', '.join(wrongly[:4])}",
        look="Decay pulls towards 0. For a gate that is shut, for a norm no text, for a frozen row of the "
        "embedding a word that fades without any gradient. And the resampler, in the paper, does not decay.",
    )
    expect(
        not kept,
        seen=f"does not decay: {', '.join(kept[:4])}",
        look="The matrices of the blocks decay. A matrix has two axes.",
    )
    amounts = {decay for decay in does.values() if not isinstance(decay, float) or abs(decay - amount) > 1e-6}
    expect(
        not amounts,
        seen=f"the decay is {', '.join(str(one)[:8] for one in amounts)} where {amount:.4f} was asked for",
        look="Does the argument weight_decay arrive in the group?",
    )


@claim(
    "parameter_groups", "An id that the embedding has no row for is refused, with the numbers.", weight=0.5
)
def an_id_beyond_the_embedding_is_refused(subject, reference, draw):
    beyond = 100 + draw.integer(0, 100)
    look = (
        f"The embedding has rows 0 to {N_WORDS - 1}. An id past them has no row to train, and a negative one "
        "would be counted from the end, in silence. Name the id and the last row."
    )
    for ids, stranger in (([3, beyond, 2], beyond), ([4, -2], -2)):
        ours, _ = models(subject, reference, draw)
        expect_raises(
            lambda ids=ids, model=ours: subject(model, torch.tensor(ids), 0.1),
            "ValueError",
            mentions=[stranger, N_WORDS - 1],
            look=look,
        )
    ours, _ = models(subject, reference, draw)  # the last row itself is one
    found = groups_of(subject(ours, torch.tensor([N_WORDS - 1, 0]), 0.1), ours)
    expect_equal(
        sum(name == EMBEDDING for names, _ in found for name in names),
        1,
        name="how often the embedding is in the groups",
        look="Is the last row accepted?",
    )
