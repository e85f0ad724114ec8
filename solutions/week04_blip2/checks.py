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


MASK_TASKS = ("contrast", "match", "write")


@claim(
    "qformer_mask",
    "A boolean table for each pair: a row and a column for each query and each text token.",
    weight=0.5,
)
def the_table_has_a_row_and_a_column_for_each_token(subject, draw):
    for task in MASK_TASKS:
        table = expect_tensor(
            subject(task, 3, torch.ones(2, 5, dtype=torch.bool)),
            (2, 8, 8),
            look="3 queries and 5 text tokens stand in one row of 8. Does each of the 2 pairs have a table?",
        )
        expect(
            table.dtype == torch.bool,
            seen=f"for {task!r}, a table of type {table.dtype}",
            look="A boolean mask: True = keep.",
        )


@claim(
    "qformer_mask",
    "Contrast keeps queries and text apart; match keeps nobody apart; write lets the text alone see across.",
    weight=0.5,
)
def the_three_tasks_differ_in_who_sees_across(subject, draw):
    n_queries, t = 3, 5
    keep = torch.ones(1, t, dtype=torch.bool)
    wanted = {"contrast": (False, False), "match": (True, True), "write": (False, True)}
    for task, (queries_see_text, text_sees_queries) in wanted.items():
        table = expect_tensor(subject(task, n_queries, keep), (1, 8, 8))[0] != 0
        for name, quarter, wants in (
            ("queries see text", table[:n_queries, n_queries:], queries_see_text),
            ("text sees queries", table[n_queries:, :n_queries], text_sees_queries),
        ):
            right = int((quarter == wants).sum())
            expect(
                right == quarter.numel(),
                seen=f"for {task!r}, {int(quarter.sum())} of {quarter.numel()} entries say that {name}",
                look="Who looks stands in the row, who is looked at in the column, and queries come first. "
                "Is this quarter of the table full or empty?",
            )


@claim("qformer_mask", "A padded token is seen by itself and by nobody else, whatever the task.", weight=0.5)
def padding_is_seen_by_itself_alone(subject, draw):
    keep = torch.tensor([[True, True, True, True], [True, True, False, False]])
    for task in MASK_TASKS:
        seen = expect_tensor(subject(task, 3, keep), (2, 7, 7)) != 0
        for place in (5, 6):
            others = int(seen[1, :, place].sum()) - int(seen[1, place, place])
            expect(
                others == 0 and bool(seen[1, place, place]),
                seen=f"for {task!r}, a padded token is seen by {others} others"
                + ("" if seen[1, place, place] else ", and not by itself"),
                look="Padding takes Trues out of columns, not out of rows. What stays on the diagonal?",
            )


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
