"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("raw_patches", raw_patches)
"""

import torch

from course_lib.checking import (
    claim,
    door,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- influence_matrix --------------------------------------------------------------------------------------


def wired(subject, draw, wires):
    """A model on your side whose output o hears input n where `wires` is not zero, awake until eval."""
    n_outputs, n_inputs = wires.shape
    model = subject.build_stand_in("tiny_wires", n_inputs=n_inputs, n_outputs=n_outputs)
    load_or_fail(model, {"wires": wires, "scale": draw.uniform(0.5, 1.5, 3)})
    return model


def differently_large(draw, n):
    """n tensors, no two of one shape."""
    return [draw.normal(2, 5 + k) for k in range(n)]


@claim(
    "influence_matrix", "A causal model comes out as a triangle: True on the diagonal and below.", weight=0.5
)
def a_triangle_comes_back_as_a_triangle(subject, draw):
    wires = draw.uniform(0.5, 1.5, 5, 4).tril()
    model = wired(subject, draw, wires)
    model.eval()
    look = "Row o, column n: does output o change when input n alone is replaced, and all others stay?"
    seen = expect_tensor(subject(model, differently_large(draw, 4)), (5, 4), look=look)
    expect(
        seen.dtype == torch.bool, seen=f"a table of type {seen.dtype}", look="True or False, nothing else."
    )
    expect_same(seen, wires != 0, look=look)


@claim("influence_matrix", "Your inputs are afterwards what they were before.", weight=0.5)
def inputs_stay_as_they_were(subject, draw):
    model = wired(subject, draw, draw.uniform(0.5, 1.5, 2, 3))
    model.eval()
    changed = subject.changed_inputs(model, differently_large(draw, 3))
    expect(
        not changed,
        seen=f"{len(changed)} of 3 inputs were written into",
        look="Which line writes the random numbers, and into whose tensor?",
    )


@claim(
    "influence_matrix", "A model with dropout awake is refused: there a change proves nothing.", weight=0.5
)
def dropout_awake_is_refused(subject, draw):
    model, inputs = wired(subject, draw, draw.uniform(0.5, 1.5, 4, 2)), differently_large(draw, 2)
    model.train()
    expect_raises(
        lambda: subject(model, inputs),
        "ValueError",
        look="Two runs with the same inputs differ here. Do you run it twice, and compare, before you start?",
    )


# -- raw_patches -------------------------------------------------------------------------------------------

# (begin raw_patches)
#
#
#
# (end raw_patches)

# -- early_fusion ------------------------------------------------------------------------------------------

# (begin early_fusion)
#
#
#
# (end early_fusion)

# -- late_fusion -------------------------------------------------------------------------------------------

# (begin late_fusion)
#
#
#
# (end late_fusion)

# -- stream_fusion -----------------------------------------------------------------------------------------

# (begin stream_fusion)
#
#
#
# (end stream_fusion)

# -- thumbnail ---------------------------------------------------------------------------------------------

# (begin thumbnail)
#
#
#
# (end thumbnail)

# -- prefix_lm_mask ----------------------------------------------------------------------------------------

# (begin prefix_lm_mask)
#
#
#
# (end prefix_lm_mask)

# -- answer_cost -------------------------------------------------------------------------------------------

# (begin answer_cost)
#
#
#
# (end answer_cost)

# -- my_fusion ---------------------------------------------------------------------------------------------

# (begin my_fusion)
#
#
#
# (end my_fusion)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
