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

# (begin qformer_layer)
#
#
#
# (end qformer_layer)

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

# (begin query_similarity)
#
#
#
# (end query_similarity)

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
