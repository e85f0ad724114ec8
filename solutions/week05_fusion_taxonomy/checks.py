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

# (begin influence_matrix)
#
#
#
# (end influence_matrix)

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
