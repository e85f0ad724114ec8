"""Hidden checks of influence_matrix. Every model is a stand-in of which one knows who hears whom.

The truth is the list of wires that a check has drawn, not another implementation.

Axes in this file:
    o  outputs    n  inputs
"""

import torch

from course_lib.checking import claim, expect, expect_raises, expect_same, expect_tensor, load_or_fail
from course_lib.influence import influence_matrix

REFERENCE = influence_matrix

SHAPES = ((2, 5), (7,), (3, 1, 4), (6, 2), (11,), (2, 2, 2))


def wiring(draw, o, n):
    """float[o n]: about half of the wires are there. No row and no column is all or nothing."""
    while True:
        there = draw.integers(0, 2, o, n).bool()
        mixed = [(there.any(dim) & ~there.all(dim)).all() for dim in (0, 1)]
        if min(o, n) < 2 or all(mixed):
            return torch.where(there, draw.uniform(0.5, 1.5, o, n), torch.zeros(o, n))


def model(subject, draw, name, wires, scale=None):
    built = subject.build_stand_in(name, n_inputs=wires.shape[1], n_outputs=wires.shape[0])
    scale = draw.uniform(0.5, 1.5, 3) if scale is None else scale
    load_or_fail(built, {"wires": wires, "scale": scale})
    built.eval()
    return built


def inputs_for(draw, n):
    order = draw.permutation(len(SHAPES)).tolist()[:n]
    return [draw.normal(*SHAPES[k]) for k in order]


def expect_wires(seen, wires, look):
    seen = expect_tensor(seen, tuple(wires.shape), look="One row for each output, one column for each input.")
    expect(seen.dtype == torch.bool, seen=f"a table of type {seen.dtype}", look="bool[o n], nothing else.")
    expect_same(seen, wires != 0, look=look)


@claim("influence_matrix", "True where there is a wire, False where there is none.", weight=2)
def every_wire_is_found_and_no_other(subject, reference, draw):
    look = "Row: an output. Column: the one input that was replaced, while all others stayed as they were."
    for o, n in ((5, 4), (2, 6), (3, 1)):
        wires = wiring(draw, o, n)
        if n == 1:  # one wire at most: the middle output hears nothing at all
            wires = draw.uniform(0.5, 1.5, o, 1) * torch.tensor([[1.0], [0.0], [1.0]])
        run = model(subject, draw, "tiny_wires", wires)
        expect_wires(subject(run, inputs_for(draw, n)), wires, look)


@claim("influence_matrix", "The faintest influence is one: no tolerance.")
def the_faintest_influence_counts(subject, reference, draw):
    there = wiring(draw, 4, 5) != 0
    wires = torch.where(there, draw.uniform(1e-6, 2e-6, 4, 5), torch.zeros(4, 5))
    loud = draw.integers(0, 5, 4)  # beside the faint ones, each output hears one input loudly
    wires[torch.arange(4), loud] = draw.uniform(0.5, 1.5, 4)
    run = model(subject, draw, "tiny_wires", wires, draw.uniform(1.0, 1.5, 3))
    look = (
        "Some wires here are a million times weaker than others. What cannot arrive changes not one bit, so "
        "what is there to tolerate?"
    )
    expect_wires(subject(run, inputs_for(draw, 5)), wires, look)


@claim("influence_matrix", "One number of an output that moves is enough.", weight=0.5)
def one_number_that_moves_is_enough(subject, reference, draw):
    wires, scale = wiring(draw, 3, 5), torch.zeros(3)
    scale[draw.integer(0, 3)] = 1.0 + draw.uniform(0, 1, 1).item()
    run = model(subject, draw, "tiny_wires", wires, scale)
    look = "Only one of the three numbers of each output can move here. Do you ask whether all of them did?"
    expect_wires(subject(run, inputs_for(draw, 5)), wires, look)


@claim("influence_matrix", "With tries enough, a path that is mostly shut is found.", weight=2)
def a_path_that_is_mostly_shut_is_found(subject, reference, draw):
    wires = wiring(draw, 3, 4)
    run = model(subject, draw, "tiny_shut", wires)
    inputs = [-one.abs() for one in inputs_for(draw, 4)]
    found = [subject(run, inputs, tries=40, seed=seed) for seed in draw.permutation(97)[:6].tolist()]
    look = (
        "A ReLU lets about two in five replacements through, and at your inputs it is shut. Are there as "
        "many different replacements as tries, and is one that arrives enough?"
    )
    for seen in found:
        expect_wires(seen, wires, look)


@claim("influence_matrix", "A model that sees neither a shift nor a stretch is found out, too.")
def shift_and_stretch_are_not_enough(subject, reference, draw):
    wires = wiring(draw, 5, 3)
    run = model(subject, draw, "tiny_ranks", wires)
    look = (
        "This model reads in what order an input's numbers are, as one with a norm in front hears no mean "
        "and no size. What do you put in the input's place?"
    )
    expect_wires(subject(run, inputs_for(draw, 3)), wires, look)


@claim("influence_matrix", "Where a factor is zero, it alone is heard.")
def behind_a_zero_nothing_else_is_heard(subject, reference, draw):
    wires = wiring(draw, 5, 4)
    run = model(subject, draw, "tiny_products", wires)
    inputs, shut = inputs_for(draw, 4), draw.integer(0, 4)
    inputs[shut] = torch.zeros_like(inputs[shut])
    heard = wires.clone()
    behind = wires[:, shut] != 0
    heard[behind] = 0.0
    heard[behind, shut] = 1.0
    look = (
        "Outputs multiply what they hear, and one input is zero: a closed gate. Does it stay zero while "
        "another input is replaced, and is it replaced by numbers that are not zero?"
    )
    expect_wires(subject(run, inputs), heard, look)


@claim("influence_matrix", "A call differs from your inputs in one of them at most, and in all its numbers.")
def one_input_is_replaced_as_a_whole(subject, reference, draw):
    n = 5
    run = model(subject, draw, "tiny_wires", draw.uniform(0.5, 1.5, 2, n))
    inputs = inputs_for(draw, n)
    subject(run, inputs, tries=2)
    calls = run.report()["buffers"]["given"].split([one.numel() for one in inputs], dim=1)
    ours = [one.flatten() for one in inputs]
    other = torch.stack([(call != one).any(dim=1) for call, one in zip(calls, ours, strict=True)], dim=1)
    most = int(other.sum(dim=1).max())
    expect(
        most <= 1,
        seen=f"in one call, {most} of {n} inputs are not yours",
        look="Is the list of inputs yours again before the next one is replaced?",
    )
    for call, one, replaced in zip(calls, ours, other.T, strict=True):
        kept = int((call[replaced] == one).sum())
        same = (call[replaced].sort(dim=1).values == one.sort().values).all(dim=1)
        expect(
            not kept and not bool(same.any()),
            seen=f"{kept} numbers of a replaced input are still the old ones"
            if kept
            else "an input that is replaced by its own numbers in another order",
            look="An output may hear any number of an input, or only their sum. Are all of them new?",
        )


@claim("influence_matrix", "The seed, and nothing else, decides what is drawn.", weight=0.5)
def the_seed_decides_what_is_drawn(subject, reference, draw):
    n, seeds = 3, draw.permutation(97)[:2].tolist()
    wires, inputs, found = draw.uniform(0.5, 1.5, 4, n), inputs_for(draw, n), []
    for seed in (seeds[0], seeds[0], seeds[1]):
        run = model(subject, draw, "tiny_wires", wires)
        subject(run, inputs, tries=2, seed=seed)
        found.append(run.report()["buffers"]["given"])
    look = "One generator, seeded with `seed`, before the loops: is it what every replacement is drawn with?"
    expect(torch.equal(found[0], found[1]), seen="one seed, and two kinds of replacements", look=look)
    expect(not torch.equal(found[0], found[2]), seen="two seeds, and the same replacements", look=look)


@claim("influence_matrix", "A model may write into what it gets; your inputs stay yours.")
def a_model_may_write_into_what_it_gets(subject, reference, draw):
    wires, inputs = wiring(draw, 3, 4), inputs_for(draw, 4)
    run = model(subject, draw, "tiny_scribbler", wires)
    look = "This model works in place, as many do. Does every call get copies of its own?"
    expect_wires(subject(run, inputs), wires, look)
    changed = subject.changed_inputs(model(subject, draw, "tiny_wires", wires), inputs)
    expect(
        not changed,
        seen=f"{len(changed)} of {len(inputs)} inputs were written into",
        look="Which line writes the random numbers, and into whose tensor?",
    )


@claim("influence_matrix", "A model may hand out the same tensors at each call.")
def a_model_may_reuse_its_outputs(subject, reference, draw):
    wires = wiring(draw, 4, 3)
    run = model(subject, draw, "tiny_reuser", wires)
    look = "This model writes each answer into the same tensors. Is the first answer still the first?"
    expect_wires(subject(run, inputs_for(draw, 3)), wires, look)


@claim("influence_matrix", "Dropout awake is refused; asleep, the same model is fine.")
def what_is_not_deterministic_is_refused(subject, reference, draw):
    wires, inputs = wiring(draw, 5, 3), inputs_for(draw, 3)
    run = model(subject, draw, "tiny_wires", wires)
    run.train()
    look = "Run it twice on the same inputs, as it is, before you replace any. May the answers differ?"
    expect_raises(lambda: subject(run, inputs), "ValueError", look=look)
    run.eval()
    expect_wires(subject(run, inputs), wires, "Here dropout sleeps, and nothing is to be refused.")


@claim("influence_matrix", "No input, or no try, is refused.", weight=0.5)
def nothing_to_try_is_refused(subject, reference, draw):
    inputs = inputs_for(draw, 2)
    run = model(subject, draw, "tiny_wires", draw.uniform(0.5, 1.5, 3, 2))
    for tries in (0, -2):
        expect_raises(
            lambda tries=tries: subject(run, inputs, tries=tries),
            "ValueError",
            mentions=[tries],
            look=f"tries={tries} would find no influence anywhere, and look like a result. Name the number.",
        )
    expect_raises(
        lambda: subject(run, []), "ValueError", look="Without inputs there is no column. Say so, at once."
    )
