"""Hidden checks of linear_projector."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_equal,
    expect_same,
    expect_tensor,
    load_or_fail,
)
from course_lib.projectors import LinearProjector

REFERENCE = LinearProjector


@claim("linear_projector", "On any weights, the output is the one the definition gives.", weight=2)
def values_are_those_of_the_definition(subject, reference, draw):
    # Once to a wider text, once to a narrower one; no two axes are equally long.
    for b, v, d_visual, d_text in ((2, 5, 7, 11), (3, 6, 13, 4)):
        ours, theirs = build_pair(subject, reference, draw, d_visual, d_text)
        visual = 2 * draw.normal(b, v, d_visual) + draw.normal(d_visual)
        expect_same(
            ours(visual),
            theirs(visual),
            look="One matrix, one bias, and nothing before or after them: no norm, no activation, no mean.",
        )


@claim("linear_projector", "Each visual token is translated by itself: none hears of another.")
def tokens_do_not_hear_of_each_other(subject, reference, draw):
    v, d_visual, d_text = 6, 9, 8
    ours = subject.build(d_visual, d_text)
    load_or_fail(ours, draw.weights_like(ours.parameters()))  # its own weights, under its own names
    ours.eval()
    # One call: row 0 as it is; then v rows, one visual token changed in each.
    visual = draw.normal(1, v, d_visual).repeat(1 + v, 1, 1)
    for j in range(v):
        visual[1 + j, j] += draw.normal(d_visual)
    seen = expect_tensor(
        ours(visual), (1 + v, v, d_text), look=f"{v} tokens a picture go in and {v} come out."
    )
    moved = (seen[1:] - seen[:1]).abs().amax(dim=2) > 1e-5
    alone = torch.eye(v, dtype=torch.bool)
    expect(
        torch.equal(moved, alone),
        seen=f"{int((moved & ~alone).sum())} of {v * (v - 1)} pairs of different tokens influence each "
        f"other; {int(moved.diagonal().sum())} of {v} tokens influence themselves",
        look="A linear layer acts on the last axis alone. Is a mean, a norm or a reshape over tokens at "
        "work?",
    )


@claim("linear_projector", "Gradients arrive at the picture and at both weights.")
def gradients_arrive_at_picture_and_weights(subject, reference, draw):
    d_visual, d_text = 7, 10
    ours, theirs = build_pair(subject, reference, draw, d_visual, d_text)
    visual, pull = draw.normal(2, 5, d_visual), draw.normal(2, 5, d_text)
    mine = ours.gradients(visual, cotangent=pull)
    right = theirs.gradients(visual, cotangent=pull)
    got = mine.inputs[0]
    expect(
        got is not None,
        seen="no gradient arrives at the picture",
        look="Is the input detached, or is the forward pass under no_grad? Freezing the encoder is not "
        "your job.",
    )
    expect_same(got, right.inputs[0], look="The gradient that arrives at the picture differs.")
    expect_same(
        _length(mine), _length(right), look="The gradient of the weights differs. Does every weight train?"
    )


@claim("linear_projector", "It holds one matrix and one bias, whatever the widths.", weight=0.5)
def the_number_of_parameters_is_right(subject, reference, draw):
    d_visual, d_text = draw.integer(20, 40), draw.integer(41, 70)
    seen, wanted = (
        sum(p.numel() for p in side.build(d_visual, d_text).parameters().values())
        for side in (subject, reference)
    )
    expect_equal(
        seen,
        wanted,
        name=f"the number of parameters from {d_visual} to {d_text}",
        look="A matrix with an entry for each pair of widths, and one number of bias for each output.",
    )


def _length(gradients):
    """Length of the gradient over all parameters: the same however they are laid out."""
    squares = [g.double().square().sum() for g in gradients.parameters.values() if g is not None]
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros((), dtype=torch.float64)
