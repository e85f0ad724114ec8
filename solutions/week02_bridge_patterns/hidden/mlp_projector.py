"""Hidden checks of mlp_projector."""

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
from course_lib.projectors import MLPProjector

REFERENCE = MLPProjector


@claim("mlp_projector", "On any weights, the output is the one the definition gives.", weight=2)
def values_are_those_of_the_definition(subject, reference, draw):
    # Once to a wider text, once to a narrower one; no two axes are equally long.
    for b, v, d_visual, d_text in ((2, 5, 7, 11), (3, 6, 13, 4)):
        ours, theirs = build_pair(subject, reference, draw, d_visual, d_text)
        visual = 2 * draw.normal(b, v, d_visual) + draw.normal(d_visual)
        expect_same(
            ours(visual),
            theirs(visual),
            look="linear_1, GELU, linear_2, in this order, and nothing else: no norm, no residual, no "
            "second GELU.",
        )


@claim("mlp_projector", "The activation is the exact GELU, not one of its approximations.")
def the_activation_is_the_exact_gelu(subject, reference, draw):
    d = draw.integer(5, 9)
    # Both matrices only scale and reorder, so that the activation itself can be seen at the output.
    fixed = {
        "linear_1.weight": torch.eye(d)[draw.permutation(d)] * draw.uniform(0.7, 1.3, d)[:, None],
        "linear_1.bias": 0.3 * draw.normal(d),
        "linear_2.weight": torch.eye(d)[draw.permutation(d)],
        "linear_2.bias": draw.normal(d),
    }
    ours, theirs = build_pair(subject, reference, draw, d, d, fixed=fixed)
    visual = draw.uniform(-4, 4, 3, 40, d)
    expect_same(
        ours(visual),
        theirs(visual),
        tolerance=1e-6,
        look="Differences near 0.0005 come from the tanh formula, near 0.02 from x * sigmoid(1.702 x), "
        "near 0.2 from ReLU or SiLU. What does F.gelu do when nothing is passed beside x?",
    )


@claim("mlp_projector", "Each visual token is translated by itself: none hears of another.")
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
        look="Linear layers and GELU act on the last axis alone. Is a mean or a norm over tokens at work?",
    )


@claim("mlp_projector", "Gradients arrive at the picture and at all four weights.")
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
        look="Is something detached, or is the forward pass under no_grad? Freezing the encoder is not "
        "your job.",
    )
    expect_same(got, right.inputs[0], look="The gradient that arrives at the picture differs.")
    expect_same(
        _length(mine), _length(right), look="The gradient of the weights differs. Does every layer train?"
    )


@claim("mlp_projector", "Its hidden layer is as wide as the text: two matrices, two biases.", weight=0.5)
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
        look="d_visual to d_text, then d_text to d_text, and a bias for each. How wide is your hidden layer?",
    )


def _length(gradients):
    """Length of the gradient over all parameters: the same however they are laid out."""
    squares = [g.double().square().sum() for g in gradients.parameters.values() if g is not None]
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros((), dtype=torch.float64)
