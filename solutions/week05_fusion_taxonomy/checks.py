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


@claim(
    "raw_patches", "Rows times columns of patches, each as long as its pixels times the channels.", weight=0.5
)
def as_many_patches_as_rows_times_columns(subject, draw):
    for b, c, rows, columns, patch in ((2, 3, 4, 6, 5), (3, 2, 5, 1, 4)):
        expect_tensor(
            subject(draw.normal(b, c, rows * patch, columns * patch), patch),
            (b, rows * columns, patch * patch * c),
            look=f"{rows * patch} x {columns * patch} pixels in patches of {patch}: {rows} rows of "
            f"{columns}. A patch is {patch} x {patch} pixels with {c} channels each.",
        )


@claim(
    "raw_patches",
    "A patch begins with the channels of its first pixel, and goes on along the row.",
    weight=0.5,
)
def a_patch_begins_with_its_first_pixel(subject, draw):
    picture = draw.normal(1, 3, 6, 8)
    seen = expect_tensor(subject(picture, 2), (1, 12, 12))[0]
    for patch, y, x in ((0, 0, 0), (1, 0, 2), (4, 2, 0), (11, 4, 6)):
        for number, dy, dx, where in ((0, 0, 0, "first"), (3, 0, 1, "second"), (6, 1, 0, "third")):
            expect_same(
                seen[patch, number : number + 3],
                picture[0, :, y + dy, x + dx],
                look=f"A 6 x 8 picture in patches of 2. Patch {patch} begins at pixel row {y}, pixel column "
                f"{x}; numbers {number} to {number + 2} of it are the three channels of its {where} pixel.",
            )


@claim("raw_patches", "A picture that patches do not tile is refused.", weight=0.5)
def no_pixel_is_dropped_in_silence(subject, draw):
    for height, width in ((10, 17), (11, 15)):
        expect_raises(
            lambda height=height, width=width: subject(draw.normal(1, 3, height, width), 5),
            "ValueError",
            mentions=[height, width],
            look=f"{height} x {width} pixels in patches of 5. What is to become of those left over? Say the "
            "height and the width in the message.",
        )


# -- early_fusion ------------------------------------------------------------------------------------------


@claim("early_fusion", "As many tokens as patches, and one more for each row of them.", weight=0.5)
def one_token_more_for_each_row(subject, draw):
    built = subject.build(10, 7)
    for b, v, columns in ((2, 12, 4), (3, 15, 3)):
        expect_tensor(
            built(draw.normal(b, v, 10), columns),
            (b, v + v // columns, 7),
            look=f"{v} patches in rows of {columns} are {v // columns} rows. What does each row end with?",
        )


@claim("early_fusion", "The last token of a row is the newline, in every row of every picture.", weight=0.5)
def each_row_ends_with_the_newline(subject, draw):
    built = subject.build(10, 7)
    weights = {
        "vision_embed_tokens.weight": draw.normal(7, 10),
        "vision_embed_tokens.bias": draw.normal(7),
        "newline": draw.normal(7),
    }
    load_or_fail(built, weights)
    out = expect_tensor(built(draw.normal(2, 12, 10), 4), (2, 15, 7))
    for row, place in enumerate((4, 9, 14)):
        expect_same(
            out[:, place],
            weights["newline"].expand(2, 7),
            look=f"Rows of 4 patches: the newline of row {row} is token {place}, counted from 0. What stands "
            "there?",
        )
        expect_different(out[:, place - 1], out[:, place], look="The token before it is a patch.")


@claim("early_fusion", "Rows that do not hold the patches are refused.", weight=0.5)
def no_patch_is_dropped_in_silence(subject, draw):
    built = subject.build(10, 7)
    expect_raises(
        lambda: built(draw.normal(2, 12, 10), 5),
        "ValueError",
        mentions=[12, 5],
        look="12 patches in rows of 5: two patches would be left over. Say both numbers in the message.",
    )


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
