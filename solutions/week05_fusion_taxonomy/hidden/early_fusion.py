"""Hidden checks of early_fusion: which token a patch becomes, and where the newlines stand."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_equal,
    expect_raises,
    expect_same,
    expect_tensor,
)
from course_lib.raw_patches import EarlyFusion

REFERENCE = EarlyFusion

K, D = 10, 7
# (pictures, patches, patches in a row): not one of them is square, and in some there are more rows.
SIZES = ((2, 12, 4), (3, 15, 3), (2, 8, 2), (1, 6, 6), (4, 5, 1))


def pair(subject, reference, draw):
    return build_pair(subject, reference, draw, K, D, std=0.5)


def rows_of(built, patches, columns):
    """What comes out as b, row, place in the row, d; and the newline that was loaded."""
    b, v, _ = patches.shape
    rows = v // columns
    out = expect_tensor(
        built(patches, columns),
        (b, v + rows, D),
        look=f"{v} patches in rows of {columns} are {rows} rows, and each row gets one newline.",
    )
    return out.reshape(b, rows, columns + 1, D)


@claim("early_fusion", "The stream is patches and newlines, in their order and number for number.", weight=2)
def the_stream_is_right_number_for_number(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    for b, v, columns in SIZES:
        patches = draw.normal(b, v, K)
        expect_same(
            ours(patches, columns),
            theirs(patches, columns),
            look=f"{v} patches in rows of {columns}. Each patch goes through the map and nothing else; after "
            "each row, and only there, stands the newline as it is.",
        )


@claim("early_fusion", "A newline stands after every row, the last one too, and it is the parameter itself.")
def a_newline_stands_after_every_row(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    newline = theirs.parameters()["newline"]
    for b, v, columns in SIZES:
        rows = rows_of(ours, draw.normal(b, v, K), columns)
        for row in range(v // columns):
            expect_same(
                rows[:, row, -1],
                newline.expand(b, D),
                look=f"{v} patches in rows of {columns}: token {row * (columns + 1) + columns} is the "
                f"newline of row {row}. Is it after the row, and the same in every picture? Has anything "
                "been done to it?",
            )


@claim("early_fusion", "A patch moves its own token and no other.")
def a_patch_moves_its_own_token(subject, reference, draw):
    ours, _ = pair(subject, reference, draw)
    for b, v, columns in SIZES[:3]:
        patches = draw.normal(b, v, K)
        before = rows_of(ours, patches, columns)
        for i in (0, columns - 1, columns, v - 1):
            changed = patches.clone()
            changed[-1, i] += draw.normal(K)
            moved = (rows_of(ours, changed, columns) - before).abs().amax(dim=-1) > 1e-5
            wanted = torch.zeros_like(moved)
            wanted[-1, i // columns, i % columns] = True
            expect(
                bool((moved == wanted).all()),
                seen=f"patch {i} of {v} in rows of {columns} moves {int(moved.sum())} tokens, "
                + ("its own among them" if moved[-1, i // columns, i % columns] else "and not its own"),
                look="One linear map, one patch at a time. Does a newline take a patch's place, or do "
                "patches meet before the language model does?",
            )


@claim("early_fusion", "The same patches in wider rows are the same tokens, with fewer newlines.")
def wider_rows_change_only_the_newlines(subject, reference, draw):
    ours, _ = pair(subject, reference, draw)
    patches = draw.normal(2, 36, K)
    six = rows_of(ours, patches, 6)
    for columns in (4, 9, 12):
        other = rows_of(ours, patches, columns)
        expect_same(
            other[:, :, :-1].reshape(2, 36, D),
            six[:, :, :-1].reshape(2, 36, D),
            look=f"The same 36 patches as 6 rows of 6 and as {36 // columns} rows of {columns}. What else "
            "than the newlines knows about rows?",
        )
    expect_different(six[:, 0, 0], six[:, 0, -1], look="Is the last token of a row really the newline?")


@claim("early_fusion", "Map and newline learn, and the newline from every row of every picture.", weight=2)
def map_and_newline_learn(subject, reference, draw):
    ours, theirs = pair(subject, reference, draw)
    report = ours.report()["requires_grad"]
    frozen = [name for name, trains in report.items() if not trains]
    look = (
        "What keeps a gradient from arriving: requires_grad, no_grad, a detach, a tensor that is no "
        "parameter?"
    )
    expect(not frozen, seen=f"{', '.join(frozen)} does not train", look=look)
    for b, v, columns in SIZES[:2]:
        patches, pull = draw.normal(b, v, K), draw.normal(b, v + v // columns, D)
        mine = ours.gradients(patches, columns, cotangent=pull)
        right = theirs.gradients(patches, columns, cotangent=pull)
        for name, wanted in right.parameters.items():
            got = mine.parameters.get(name)
            expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
            expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
        got = mine.inputs[0] if mine.inputs else None
        expect(got is not None, seen="no gradient arrives at the patches", look=look)
        expect_same(got, right.inputs[0], tolerance=1e-4, look=look)


@claim("early_fusion", "One matrix, one bias, one newline: nothing besides, at any width.", weight=0.5)
def nothing_besides_the_map_and_the_newline(subject, reference, draw):
    for k, d in ((K, D), (27, 5)):
        found = {name: list(p.shape) for name, p in subject.build(k, d).parameters().items()}
        wanted = {name: list(p.shape) for name, p in reference.build(k, d).parameters().items()}
        expect_equal(
            dict(sorted(found.items())),
            dict(sorted(wanted.items())),
            name="the list of parameters",
            look="vision_embed_tokens is one nn.Linear with its bias, newline is one vector as wide as a "
            "word. Is each a parameter, by that name, and is there anything else?",
        )


@claim("early_fusion", "Rows that do not hold the patches are refused, with both numbers.", weight=0.5)
def rows_that_do_not_hold_the_patches_are_refused(subject, reference, draw):
    ours = subject.build(K, D)
    expect_tensor(ours(draw.normal(2, 26, K), 13), (2, 28, D))  # 2 rows of 13 are accepted
    for v, columns in ((26, 11), (26, 52), (27, 0), (28, -7)):
        expect_raises(
            lambda v=v, columns=columns: ours(draw.normal(2, v, K), columns),
            "ValueError",
            mentions=[v, columns],
            look=f"{v} patches in rows of {columns}. Which rows would be whole? Look at columns before you "
            "divide by it, and say both numbers in the message.",
        )
