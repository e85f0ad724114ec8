"""Hidden checks of thumbnail: cells of a grid, in both directions, and what does not fit."""

from course_lib.checking import (
    claim,
    expect,
    expect_different,
    expect_raises,
    expect_same,
    expect_tensor,
)
from course_lib.stream_fusion import thumbnail

REFERENCE = thumbnail

# rows, columns, side: cells are square, flat, upright, and 3 x 12 are 36, as 6 x 6 are
SHAPES = ((6, 6, 2), (6, 6, 3), (4, 8, 2), (9, 6, 3), (3, 12, 3), (2, 8, 2), (8, 4, 4))


@claim("thumbnail", "Each token of the copy is the mean of its cell, row by row.", weight=2)
def each_token_is_the_mean_of_its_cell(subject, reference, draw):
    for rows, columns, side in SHAPES:
        visual = draw.normal(draw.integer(1, 4), rows * columns, 5)
        seen = expect_tensor(
            subject(visual, (rows, columns), side),
            (len(visual), side * side, 5),
            look=f"side={side} asks for a copy of {side} x {side} tokens, however large the grid is.",
        )
        expect_same(
            seen,
            reference(visual, (rows, columns), side),
            look=f"A grid of {rows} x {columns}, side={side}: how many patches high is a cell, and how many "
            "wide? Patches and cells are both read row by row, and a cell is the mean of all its patches.",
        )


@claim("thumbnail", "A patch changes the token of its own cell, and no other.")
def a_patch_changes_its_own_cell_alone(subject, reference, draw):
    for rows, columns, side in ((4, 6, 2), (9, 6, 3)):
        visual = draw.normal(2, rows * columns, 3)
        before = expect_tensor(subject(visual, (rows, columns), side), (2, side * side, 3))
        for _ in range(4):
            y, x = draw.integer(0, rows), draw.integer(0, columns)
            cell = (y // (rows // side)) * side + x // (columns // side)
            changed = visual.clone()
            changed[:, y * columns + x] += 4.0
            after = expect_tensor(subject(changed, (rows, columns), side), before.shape)
            others = [other for other in range(side * side) if other != cell]
            look = (
                f"Grid {rows} x {columns}, side {side}: a patch in row {y}, column {x} (from 0) was changed. "
                "Which row and column of the copy is that, and at what place do they stand?"
            )
            expect_same(after[:, others], before[:, others], look=look)
            expect_different(after[:, cell], before[:, cell], look=look)


@claim("thumbnail", "As many cells as patches: the tokens themselves. One cell: the mean of all.", weight=0.5)
def the_two_ends_are_the_tokens_and_their_mean(subject, reference, draw):
    visual = draw.normal(3, 25, 4)
    expect_same(
        subject(visual, (5, 5), 5),
        visual,
        look="A cell of one patch is this patch. In which order do they come?",
    )
    wide = draw.normal(3, 14, 4)
    expect_same(
        subject(wide, (2, 7), 1),
        wide.mean(dim=1, keepdim=True),
        look="side=1 leaves one cell, and every patch is in it.",
    )


@claim("thumbnail", "Every patch of a cell has the same share in it, and in the gradient.")
def every_patch_has_its_share_of_the_gradient(subject, reference, draw):
    visual, pull = draw.normal(2, 48, 3), draw.normal(2, 4, 3)
    mine = subject.gradients(visual, (6, 8), 2, cotangent=pull)
    right = reference.gradients(visual, (6, 8), 2, cotangent=pull)
    got = mine.inputs[0] if mine.inputs else None
    look = "A mean shares its gradient out evenly. Which patches get none in yours, and why?"
    expect(got is not None, seen="no gradient arrives at visual", look=look)
    expect_same(got, right.inputs[0], look=look)


@claim("thumbnail", "A side that does not divide both rows and columns is refused, and the nearest is named.")
def a_side_that_does_not_fit_is_refused(subject, reference, draw):
    look = (
        "Does side divide the rows, and the columns? If not: a ValueError with side, rows and columns, and "
        "the nearest side that divides both."
    )
    visual = draw.normal(1, 216, 3)
    expect_tensor(subject(visual, (12, 18), 6), (1, 36, 3), look="6 divides 12 and 18.")
    for side, near in ((4, 3), (7, 6), (9, 6), (40, 6)):
        expect_raises(
            lambda side=side: subject(visual, (12, 18), side),
            "ValueError",
            mentions=(side, 12, 18, near),
            look=f"side={side} on a grid of 12 x 18. {look}",
        )
    for side in (0, -2):
        expect_raises(
            lambda side=side: subject(visual, (12, 18), side),
            "ValueError",
            mentions=(side, 1),
            look=f"side={side}: no copy has so few rows. And what is 12 % 0 in Python?",
        )


@claim("thumbnail", "A grid that does not hold as many tokens as there are is refused, with both numbers.")
def a_grid_that_does_not_hold_the_tokens_is_refused(subject, reference, draw):
    look = "How many tokens does the grid hold, and how many came? Name both numbers in a ValueError."
    expect_tensor(subject(draw.normal(1, 24, 3), (4, 6), 2), (1, 4, 3), look="4 x 6 holds 24 tokens.")
    for v in (25, 23, 48):
        expect_raises(
            lambda v=v: subject(draw.normal(1, v, 3), (4, 6), 2), "ValueError", mentions=(24, v), look=look
        )
