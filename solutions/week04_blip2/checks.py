"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("qformer_mask", qformer_mask)
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

# -- qformer_layer ---------------------------------------------------------------------------------------

LAYER = {"d_model": 12, "d_visual": 10, "n_heads": 3, "d_hidden": 20}


@claim("qformer_layer", "Queries and text come out as they went in: as many, as wide, queries first.", 0.5)
def a_layer_keeps_its_shape(subject, draw):
    for looks in (True, False):
        layer = subject.build(**LAYER, looks=looks)
        tokens, visual = draw.normal(2, 13, 12), draw.normal(2, 9, 10)
        for n_queries in (5, 13, 0):
            expect_tensor(
                layer(tokens, n_queries, None, visual),
                (2, 13, 12),
                look=f"13 tokens go in, {n_queries} of them queries; 13 come out, queries first.",
            )


@claim("qformer_layer", "In one layer another picture moves every query, and no text.", 0.5)
def another_picture_moves_the_queries(subject, draw):
    layer = subject.build(**LAYER, looks=True)
    weights = draw.weights_like(layer.parameters())
    load_or_fail(layer, weights)
    layer.eval()
    tokens = draw.normal(2, 13, 12)
    one, other = (layer(tokens, 5, None, draw.normal(2, 9, 10)) for _ in range(2))
    one, other = expect_tensor(one, (2, 13, 12)), expect_tensor(other, (2, 13, 12))
    expect_same(
        other[:, 5:],
        one[:, 5:],
        look="All hear each other first, then the queries alone look. Does text look, too?",
    )
    for i in range(5):
        expect_different(other[:, i], one[:, i], look=f"Query {i} sees no difference. Does it look?")


# -- qformer_mask ----------------------------------------------------------------------------------------

# (begin qformer_mask)
#
#
#
# (end qformer_mask)

# -- itc_loss --------------------------------------------------------------------------------------------

# (begin itc_loss)
#
#
#
# (end itc_loss)

# -- sample_negatives ------------------------------------------------------------------------------------

# (begin sample_negatives)
#
#
#
# (end sample_negatives)

# -- itm_loss --------------------------------------------------------------------------------------------

# (begin itm_loss)
#
#
#
# (end itm_loss)

# -- itg_loss --------------------------------------------------------------------------------------------

# (begin itg_loss)
#
#
#
# (end itg_loss)

# -- query_similarity ------------------------------------------------------------------------------------


@claim("query_similarity", "One number for every pair of queries, and 1 for a query with itself.", 0.5)
def a_query_is_like_itself(subject, draw):
    seen = expect_tensor(
        subject(draw.normal(3, 5, 7)), (5, 5), look="Three pictures, five queries: a table of 5 by 5."
    )
    expect_same(
        torch.diagonal(seen),
        torch.ones(5),
        look="A cosine is a dot product of vectors of length 1. Are they, and is the mean one over pictures?",
    )


@claim("query_similarity", "Right angles are not alike, and opposite directions cancel equal ones.", 0.5)
def right_angles_are_not_alike(subject, draw):
    # Two pictures. Queries 0 and 1 stand at right angles; query 2 is query 0, the second time turned round.
    read = torch.tensor([[[3.0, 0.0], [0.0, 2.0], [5.0, 0.0]], [[0.0, 1.0], [4.0, 0.0], [0.0, -2.0]]])
    expect_same(
        subject(read),
        torch.eye(3),
        look="Work it out by hand: two pictures, and in each a cosine for every pair.",
    )


# -- query_prefix ----------------------------------------------------------------------------------------

# (begin query_prefix)
#
#
#
# (end query_prefix)

# -- blip2_answers ---------------------------------------------------------------------------------------

# (begin blip2_answers)
#
#
#
# (end blip2_answers)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
