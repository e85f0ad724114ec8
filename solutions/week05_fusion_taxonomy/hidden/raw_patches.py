"""Hidden checks of raw_patches: where a patch stands, where a number stands in it, and then all of it."""

import torch

from course_lib.checking import claim, expect, expect_different, expect_raises, expect_same, expect_tensor
from course_lib.raw_patches import raw_patches

REFERENCE = raw_patches

# (pictures, channels, rows, columns, side of a patch): in each, all are different numbers.
SIZES = ((2, 3, 4, 6, 5), (4, 2, 7, 3, 5), (2, 1, 3, 5, 4), (3, 4, 2, 5, 1), (2, 3, 1, 4, 6), (3, 2, 5, 1, 4))


@claim("raw_patches", "Patches come row by row: along the first row of them, then the second.")
def patches_come_row_by_row(subject, reference, draw):
    for b, c, rows, columns, patch in SIZES[:2]:
        values = draw.normal(b, rows, columns)
        sides = values.repeat_interleave(patch, dim=1).repeat_interleave(patch, dim=2)
        pictures = sides[:, None].repeat(1, c, 1, 1)  # within a patch all numbers are the same
        seen = expect_tensor(
            subject(pictures, patch),
            (b, rows * columns, patch * patch * c),
            look="How many patches stand in a row, how many rows are there, and which of the four axes is "
            "the height?",
        )
        for v in range(rows * columns):
            expect_same(
                seen[:, v, 0],
                values[:, v // columns, v % columns],
                look=f"{rows} rows of {columns}: patch {v} stands in row {v // columns}, column "
                f"{v % columns}. Which axis did you walk along first?",
            )
            expect(
                bool((seen[:, v] == seen[:, v, :1]).all()),
                seen=f"patch {v} holds numbers of more than one square",
                look="A reshape alone never leaves the line of pixels it is in. What must be permuted first?",
            )


@claim("raw_patches", "In a patch: pixels row by row, and the channels of a pixel next to each other.")
def numbers_of_a_patch_come_pixel_by_pixel(subject, reference, draw):
    for b, c, rows, columns, patch in SIZES[:2]:
        tile = draw.normal(b, c, patch, patch)  # every patch of a picture is the same
        pictures = tile.repeat(1, 1, rows, columns)
        seen = expect_tensor(subject(pictures, patch), (b, rows * columns, patch * patch * c))
        for y, x, channel in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (patch - 1, patch - 2, c - 1)):
            expect_same(
                seen[:, 0, (y * patch + x) * c + channel],
                tile[:, channel, y, x],
                look=f"Pixel row {y}, pixel column {x}, channel {channel} should be number "
                f"{(y * patch + x) * c + channel} of a patch. Which of y, x and c changes fastest, which "
                "slowest?",
            )


@claim("raw_patches", "Every number lands in its place, whatever the height, width and channels.", weight=2)
def every_number_lands_in_its_place(subject, reference, draw):
    for b, c, rows, columns, patch in SIZES:
        pictures = draw.normal(b, c, rows * patch, columns * patch)
        expect_same(
            subject(pictures, patch),
            reference(pictures, patch),
            look=f"{rows} rows and {columns} columns of patches, each {patch} x {patch} pixels with {c} "
            "channels. Does the height count the rows, and the width the columns? Is every number handed on "
            "as it is?",
        )


@claim("raw_patches", "A number of the picture moves one number of one patch, by as much.", weight=0.5)
def the_gradient_comes_back_to_its_pixel(subject, reference, draw):
    b, c, rows, columns, patch = SIZES[0]
    pictures = draw.normal(b, c, rows * patch, columns * patch)
    pull = draw.normal(b, rows * columns, patch * patch * c)
    mine = subject.gradients(pictures, patch, cotangent=pull).inputs
    wanted = reference.gradients(pictures, patch, cotangent=pull).inputs[0]
    look = "Cutting and laying flat is no more than another order. What stops the gradient, or scales it?"
    expect(bool(mine) and mine[0] is not None, seen="no gradient arrives at the pictures", look=look)
    expect_different(wanted, torch.zeros_like(wanted), look=look)
    expect_same(mine[0], wanted, look=look)


@claim("raw_patches", "A picture that patches do not tile is refused, with its size.", weight=0.5)
def what_patches_do_not_tile_is_refused(subject, reference, draw):
    expect_tensor(subject(draw.normal(2, 3, 26, 39), 13), (2, 6, 507))  # what they do tile is accepted
    for height, width, patch in ((26, 41, 13), (29, 39, 13), (28, 42, 13), (9, 39, 13), (16, 27, 12)):
        expect_raises(
            lambda height=height, width=width, patch=patch: subject(draw.normal(2, 3, height, width), patch),
            "ValueError",
            mentions=[height, width, patch],
            look=f"Patches of {patch} pixels do not tile {height} x {width}. Is each side looked at by "
            "itself, and does the message say the patch, the height and the width?",
        )


@claim("raw_patches", "The message names the nearest size that works.", weight=0.5)
def the_nearest_size_is_named(subject, reference, draw):
    for height, width, near in ((28, 48, (26, 52)), (37, 55, (39, 52)), (26, 61, (26, 65))):
        expect_raises(
            lambda height=height, width=width: subject(draw.normal(1, 3, height, width), 13),
            "ValueError",
            mentions=near,
            look=f"{height} / 13 is {height / 13:.2f} and {width} / 13 is {width / 13:.2f}. Which whole "
            "numbers of patches are nearest?",
        )


@claim("raw_patches", "A patch without a side is refused.", weight=0.5)
def a_patch_without_a_side_is_refused(subject, reference, draw):
    expect_tensor(subject(draw.normal(1, 3, 4, 6), 1), (1, 24, 3))  # one pixel is a patch
    for patch in (0, -2):
        expect_raises(
            lambda patch=patch: subject(draw.normal(1, 3, 4, 6), patch),
            "ValueError",
            mentions=[patch],
            look=f"patch={patch}: what does 4 % {patch} give? Look at patch before you divide by it.",
        )
