"""Hidden checks of late_fusion. What its two sides are tokens of, no check asks."""

import torch

from course_lib.checking import (
    build_pair,
    claim,
    expect,
    expect_different,
    expect_equal,
    expect_finite,
    expect_same,
    expect_tensor,
)
from course_lib.late_fusion import LateFusion

REFERENCE = LateFusion

SIZES = {"d_visual": 10, "d_text": 7, "d_shared": 6, "n_answers": 9}
B, V, T = 4, 8, 5


def sides(draw, b=B, v=V, t=T):
    return draw.normal(b, v, SIZES["d_visual"]), draw.normal(b, t, SIZES["d_text"])


@claim("late_fusion", "Both vectors and their product go into the head, and logits come out.", weight=2)
def the_head_reads_both_and_their_product(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES, std=0.5)
    for b, v, t in ((B, V, T), (1, 3, 11)):
        visual, text = sides(draw, b, v, t)
        seen = expect_tensor(
            ours(visual, text),
            (b, SIZES["n_answers"]),
            look="One row of logits for each pair, n_answers wide.",
        )
        expect_same(
            seen,
            theirs(visual, text),
            look="No mask: every token counts. Mean over tokens, one linear map for each side, then the head "
            "on [picture, question, picture * question], in this order and with a GELU. What else happens "
            "on your way to the logits?",
        )


@claim("late_fusion", "A token that a mask hides changes nothing; a token that it keeps does.", weight=2)
def hidden_tokens_count_for_nothing(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep, real = sides(draw), draw.keep_mask(B, V), draw.keep_mask(B, T)
    clean = expect_tensor(ours(visual, text, keep, real), (B, SIZES["n_answers"]))
    look = "True means KEEP, in both masks. Does each side have its own, in the sum and in what divides it?"
    other_visual = torch.where(keep[..., None], visual, 3 * draw.normal(*visual.shape))
    other_text = torch.where(real[..., None], text, 3 * draw.normal(*text.shape))
    expect_same(ours(other_visual, text, keep, real), clean, look=f"Hidden visual tokens get through. {look}")
    expect_same(ours(visual, other_text, keep, real), clean, look=f"Hidden text tokens get through. {look}")
    expect_same(clean, theirs(visual, text, keep, real), look=look)
    for masks in ((keep, None), (None, real)):
        expect_same(
            ours(visual, text, *masks), theirs(visual, text, *masks), look=f"One mask, the other None. {look}"
        )


@claim("late_fusion", "The order of the tokens changes nothing, on either side; another token does.")
def the_order_of_the_tokens_changes_nothing(subject, reference, draw):
    ours, _ = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep, real = sides(draw), draw.keep_mask(B, V), draw.keep_mask(B, T)
    keep[:, -1] = real[:, -1] = True
    before = expect_tensor(ours(visual, text, keep, real), (B, SIZES["n_answers"]))
    look = "A mean does not know which token came first. Do you take one token for all of them?"
    order = draw.permutation(V)
    expect_same(ours(visual[:, order], text, keep[:, order], real), before, look=look)
    order = draw.permutation(T)
    expect_same(ours(visual, text[:, order], keep, real[:, order]), before, look=look)
    for side, name in ((visual, "visual"), (text, "text")):
        for place in (0, -1):
            changed = side.clone()
            mask = keep if name == "visual" else real
            mask = mask.clone()
            mask[:, place] = True
            changed[:, place] += 2 * draw.normal(*changed[:, place].shape)
            masks = (mask, real) if name == "visual" else (keep, mask)
            one = ours(visual, text, *masks)
            two = ours(changed, text, *masks) if name == "visual" else ours(visual, changed, *masks)
            expect_different(
                two,
                expect_tensor(one),
                look=f"Another {name} token at place {place}, and nothing changes. {look}",
            )


@claim("late_fusion", "Tokens that come twice say what they say once.", weight=0.5)
def twice_the_tokens_say_the_same(subject, reference, draw):
    ours, _ = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep = sides(draw), draw.keep_mask(B, V)
    once = expect_tensor(ours(visual, text, keep), (B, SIZES["n_answers"]))
    look = (
        "A larger picture is not a louder one. Is it the mean, and does what divides it count the kept ones?"
    )
    expect_same(ours(visual.repeat(1, 2, 1), text, keep.repeat(1, 2)), once, look=look)
    expect_same(ours(visual, text.repeat(1, 3, 1), keep), once, look=look)
    shifted = ours(torch.cat([visual, visual.flip(0)], dim=1), text, torch.cat([keep, keep.flip(0)], dim=1))
    expect_different(shifted, once, look="Now other tokens stand beside them, and that is heard.")


@claim("late_fusion", "Where nothing is kept, the mean is zeros, and all stays finite.")
def nothing_kept_is_a_mean_of_zeros(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep, real = sides(draw), draw.keep_mask(B, V), draw.keep_mask(B, T)
    keep[0], real[1], keep[2], real[2] = False, False, False, False
    seen = expect_tensor(ours(visual, text, keep, real), (B, SIZES["n_answers"]))
    look = (
        "A row that keeps no token has a sum of 0, divided by 0 tokens. What do you divide by? The zeros "
        "are the mean: they still go through the linear map, and leave it as its bias."
    )
    expect_finite(seen, look=look)
    expect_same(seen, theirs(visual, text, keep, real), look=look)


@claim("late_fusion", "Each pair is judged by itself, whoever stands beside it in the batch.", weight=0.5)
def a_pair_is_judged_by_itself(subject, reference, draw):
    ours, _ = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep, real = sides(draw), draw.keep_mask(B, V), draw.keep_mask(B, T)
    together = expect_tensor(ours(visual, text, keep, real), (B, SIZES["n_answers"]))
    for row in range(B):
        one = slice(row, row + 1)
        expect_same(
            ours(visual[one], text[one], keep[one], real[one]),
            together[one],
            look="Alone, this pair gets other logits. Is something summed or counted over the batch?",
        )
    expect_different(together.roll(1, 0), together, look="Other pairs, other logits.")


@claim("late_fusion", "Both sides learn: the gradients reach pictures, questions and every weight.", weight=2)
def gradients_reach_both_sides(subject, reference, draw):
    ours, theirs = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep, real = sides(draw), draw.keep_mask(B, V), draw.keep_mask(B, T)
    pull = draw.normal(B, SIZES["n_answers"])
    mine = ours.gradients(visual, text, keep, real, cotangent=pull)
    right = theirs.gradients(visual, text, keep, real, cotangent=pull)
    look = "Whether a tower is frozen, its owner decides. What stops the gradient here: detach, or no_grad?"
    for name, wanted in right.parameters.items():
        got = mine.parameters.get(name)
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")
    for name, got, wanted in zip(("visual", "text"), mine.inputs, right.inputs, strict=False):
        expect(got is not None, seen=f"no gradient arrives at {name}", look=look)
        expect_same(got, wanted, tolerance=1e-4, look=f"The gradient of {name} differs. {look}")


@claim("late_fusion", "The tokens and masks that are given stay as they were.", weight=0.5)
def what_is_given_stays(subject, reference, draw):
    ours, _ = build_pair(subject, reference, draw, **SIZES, std=0.5)
    (visual, text), keep, real = sides(draw), draw.keep_mask(B, V), draw.keep_mask(B, T)
    expect_equal(
        ours.changed_inputs(visual, text, keep, real),
        [],
        name="the list of arguments you wrote into",
        look="Whoever gave you the tokens may still need them. masked_fill makes a copy; what does "
        "masked_fill_ do, or an assignment to tokens[...]?",
    )
