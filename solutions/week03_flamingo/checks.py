"""Public checks of this week. They run in your notebook, on your objects, and say what they saw.

Each takes a subject (yours) and a source of random inputs. They catch the common slips; hidden checks, run
when the notebook is graded, look closer. Boolean masks say True = keep.

    from course_lib.checks import check
    check("media_index", media_index)
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

# -- perceiver_resampler ---------------------------------------------------------------------------------

# (begin perceiver_resampler)
#
#
#
# (end perceiver_resampler)

# -- media_index -----------------------------------------------------------------------------------------

# (begin media_index)
#
#
#
# (end media_index)

# -- media_mask ------------------------------------------------------------------------------------------

# (begin media_mask)
#
#
#
# (end media_mask)

# -- influence -------------------------------------------------------------------------------------------

# (begin influence)
#
#
#
# (end influence)

# -- masked_cross_attention ------------------------------------------------------------------------------

# (begin masked_cross_attention)
#
#
#
# (end masked_cross_attention)

# -- gated_block -----------------------------------------------------------------------------------------

# (begin gated_block)
#
#
#
# (end gated_block)

# -- flamingo --------------------------------------------------------------------------------------------

# (begin flamingo)
#
#
#
# (end flamingo)

# -- parameter_groups ------------------------------------------------------------------------------------

# (begin parameter_groups)
#
#
#
# (end parameter_groups)

# -- interleave ------------------------------------------------------------------------------------------

# (begin interleave)
#
#
#
# (end interleave)

# -- generate --------------------------------------------------------------------------------------------

# (begin generate)
#
#
#
# (end generate)

# -- few_shot_prompt -------------------------------------------------------------------------------------

# (begin few_shot_prompt)
#
#
#
# (end few_shot_prompt)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
