"""Hidden checks of pixel_shuffle."""

import torch

from course_lib.checking import claim, expect, expect_different, expect_raises, expect_same, expect_tensor
from course_lib.projectors import pixel_shuffle

REFERENCE = pixel_shuffle


@claim("pixel_shuffle", "On a square grid, every number stands where the definition puts it.", weight=2)
def a_square_grid_is_right(subject, reference, draw):
    for b, side, factor, d in ((2, 4, 2, 3), (1, 6, 3, 5)):
        visual = draw.normal(b, side * side, d)
        expect_same(
            subject(visual, (side, side), factor),
            reference(visual, (side, side), factor),
            tolerance=0.0,
            look="Inside a merged token: all channels of the upper left patch, then of its right "
            "neighbour, then of the next row of the block. The merged tokens follow each other row by row.",
        )


@claim("pixel_shuffle", "On an oblong grid too: rows come first, then columns.", weight=2)
def an_oblong_grid_is_right(subject, reference, draw):
    for b, rows, columns, factor, d in ((2, 4, 6, 2, 3), (3, 6, 2, 2, 5), (1, 3, 12, 3, 2)):
        visual = draw.normal(b, rows * columns, d)
        expect_same(
            subject(visual, (rows, columns), factor),
            reference(visual, (rows, columns), factor),
            tolerance=0.0,
            look=f"This grid has {rows} rows and {columns} columns. Are the two mixed up, or taken to be "
            "equal?",
        )


@claim("pixel_shuffle", "A patch lands in exactly one merged token, with the patches of its block.")
def a_patch_lands_beside_its_neighbours(subject, reference, draw):
    rows, columns, factor, d = 4, 6, 2, 3
    n = rows * columns
    # Row 0 as it is; then a row for every patch, with that patch changed.
    visual = draw.normal(1, n, d).repeat(1 + n, 1, 1)
    for j in range(n):
        visual[1 + j, j] += 1 + draw.uniform(0, 1, d)
    seen = expect_tensor(
        subject(visual, (rows, columns), factor),
        (1 + n, n // factor**2, d * factor**2),
        look="How many blocks does the grid have, and how many numbers a block?",
    )
    theirs = reference(visual, (rows, columns), factor)
    landed, right = (((out[1:] - out[:1]).abs() > 1e-6) for out in (seen, theirs))
    tokens = landed.any(dim=2)
    expect(
        bool((tokens.sum(dim=1) == 1).all()),
        seen=f"a changed patch shows in {sorted(set(tokens.sum(dim=1).tolist()))} merged tokens",
        look="A merged token is four patches side by side. Is a patch dropped, or cut apart?",
    )
    expect(
        bool((landed.sum(dim=(1, 2)) == d).all()),
        seen=f"the {d} numbers of a patch show in {sorted(set(landed.sum(dim=(1, 2)).tolist()))} places",
        look="Every number of a patch appears once. Is something averaged or copied?",
    )
    # Who shares a token with whom, whatever the order of tokens and of channels.
    together, wanted = ((one.any(dim=2).int() @ one.any(dim=2).int().T) > 0 for one in (landed, right))
    strangers = int((together & ~wanted).any(dim=1).sum())
    expect(
        torch.equal(together, wanted),
        seen=f"{strangers} of {n} patches share a merged token with one that is not in their block",
        look="Which patches are neighbours? Patch k of the list stands in row k // columns, column k % "
        "columns.",
    )


@claim("pixel_shuffle", "With factor 1 nothing changes, and with a larger one the order does.", weight=0.5)
def factor_one_changes_nothing(subject, reference, draw):
    rows, columns, d = 3, 6, 4
    visual = draw.normal(2, rows * columns, d)
    expect_same(
        subject(visual, (rows, columns), 1),
        visual,
        tolerance=0.0,
        look="Blocks of one patch each: the same tokens in the same order.",
    )
    merged = same_numbers(subject, visual, (rows, columns), 3)
    expect_different(
        merged.reshape(visual.shape),
        visual,
        look="The numbers stand as before. Is it only a reshape?",
    )


@claim("pixel_shuffle", "Every number of the picture gets its own gradient back.")
def gradients_go_back_to_their_patches(subject, reference, draw):
    rows, columns, factor, d = 6, 4, 2, 3
    visual = draw.normal(1, rows * columns, d)
    pull = draw.normal(1, rows * columns // factor**2, d * factor**2)
    mine = subject.gradients(visual, (rows, columns), factor, cotangent=pull)
    look = "Is the input detached, turned into numpy, or copied into a new tensor?"
    expect(mine.inputs[0] is not None, seen="no gradient arrives at the picture", look=look)
    # Each number of the output is one of the input, so it hands its gradient to that one.
    value = expect_tensor(mine.output, pull.shape)
    expect_same(
        mine.inputs[0].flatten()[visual.flatten().argsort()],
        pull.flatten()[value.flatten().argsort()],
        look="Does each number of the picture appear exactly once in the output, as it was?",
    )


@claim("pixel_shuffle", "A grid that does not hold the tokens is a ValueError that names the numbers.")
def a_grid_that_does_not_fit_is_an_error(subject, reference, draw):
    rows, columns, d = 2 * draw.integer(3, 7), 2 * draw.integer(7, 9), 3
    same_numbers(subject, draw.normal(2, rows * columns, d), (rows, columns), 2)
    # One token too many, as with a class token left in; and four too few, which a reshape may not notice.
    for n in (rows * columns + 1, rows * columns - 4):
        visual = draw.normal(2, n, d)
        expect_raises(
            lambda visual=visual: subject(visual, (rows, columns), 2),
            "ValueError",
            mentions=[n],
            look=f"{n} tokens on a grid of {rows} rows and {columns} columns: compare before you rearrange, "
            "and say how many there are.",
        )


@claim("pixel_shuffle", "A factor that does not divide both sides is a ValueError that names the numbers.")
def a_factor_that_does_not_divide_is_an_error(subject, reference, draw):
    factor = draw.integer(3, 6)
    even, odd = factor * draw.integer(2, 4), factor * draw.integer(2, 4) + draw.integer(1, factor)
    same_numbers(subject, draw.normal(1, even * even, 2), (even, even), factor)
    for rows, columns in ((even, odd), (odd, even)):
        visual = draw.normal(1, rows * columns, 2)
        expect_raises(
            lambda visual=visual, grid=(rows, columns): subject(visual, grid, factor),
            "ValueError",
            mentions=[factor],
            look=f"Blocks of {factor} x {factor} do not tile {rows} rows and {columns} columns. Nothing may "
            "be cut off in silence; name the factor.",
        )


def same_numbers(subject, visual, grid, factor):
    """What fits is merged: another shape, every number once, in whatever order."""
    b, n, d = visual.shape
    merged = expect_tensor(
        subject(visual, grid, factor),
        (b, n // factor**2, d * factor**2),
        look=f"{grid[0]} x {grid[1]} patches in blocks of {factor} x {factor}: they fit, and should be "
        "merged.",
    )
    expect_same(
        merged.flatten(1).sort(dim=1).values,
        visual.flatten(1).sort(dim=1).values,
        tolerance=0.0,
        look="Merging only moves numbers. Is one lost, changed, or there twice?",
    )
    return merged
