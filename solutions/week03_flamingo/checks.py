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


@claim(
    "masked_cross_attention",
    "Weights go in by name, and each text token gets one vector of its own width back.",
    weight=0.5,
)
def weights_go_in_by_name_and_text_comes_out(subject, draw):
    d_text, d_visual, n_heads, d_head = 11, 10, 2, 4
    ours = subject.build(d_text, d_visual, n_heads, d_head)
    width = n_heads * d_head
    sizes = {"q_proj.weight": (width, d_text), "k_proj.weight": (width, d_visual)}
    sizes |= {"v_proj.weight": (width, d_visual), "o_proj.weight": (d_text, width)}
    load_or_fail(ours, {name: draw.normal(*size) for name, size in sizes.items()})
    for b, t, s in ((3, 7, 5), (1, 6, 9)):
        seen = ours(draw.normal(b, t, d_text), draw.normal(b, s, d_visual))
        look = "The text asks, so there are as many answers as text tokens. How wide?"
        expect_tensor(seen, (b, t, d_text), look=look)


@claim("masked_cross_attention", "A token reads what its own row keeps, as if nothing else were there.")
def a_token_reads_as_if_the_rest_were_not_there(subject, draw):
    ours = subject.build(11, 10, 2, 4)
    text, visual = draw.normal(1, 7, 11), draw.normal(1, 5, 10)
    keep = torch.zeros(1, 7, 5, dtype=torch.bool)
    keep[:, :3, :2], keep[:, 3:, 2:] = True, True  # two pictures: of two visual tokens, and of three
    seen = expect_tensor(ours(text, visual, keep), (1, 7, 11))
    look = (
        "media_mask is bool[b t s] and True means KEEP: each text token has a row of its own. Is it used so?"
    )
    first = expect_tensor(ours(text[:, :3], visual[:, :2]), (1, 3, 11))
    second = expect_tensor(ours(text[:, 3:], visual[:, 2:]), (1, 4, 11))
    expect_same(seen[:, :3], first, look=look)
    expect_same(seen[:, 3:], second, look=look)
    look = "Another picture has to be read differently. Is it read at all?"
    expect_different(ours(text, draw.normal(1, 5, 10), keep), seen, look=look, least=1e-4)


@claim("masked_cross_attention", "A token that keeps nothing gets exactly zero, and nobody else does.")
def text_before_any_picture_gets_exactly_zero(subject, draw):
    ours = subject.build(11, 10, 2, 4)
    text, visual = draw.normal(2, 7, 11), 10 * draw.normal(2, 5, 10)
    keep = torch.ones(2, 7, 5, dtype=torch.bool)
    keep[0, :3] = False
    seen = expect_tensor(ours(text, visual, keep), (2, 7, 11))
    look = "A token that may look at nothing has nothing to add. What does a softmax over it give?"
    expect_finite(seen, look=look)
    expect_same(seen[0, :3], torch.zeros(3, 11), tolerance=0.0, look=look)
    look = "A token that does keep something came out as zero. Is more than its own row asked?"
    expect(bool(seen[0, 3:].any(dim=-1).all() & seen[1].any(dim=-1).all()), seen="zeros elsewhere", look=look)


# -- gated_block -----------------------------------------------------------------------------------------


def _block(subject):
    attention = stand_in("masked_read", d_text=12, d_visual=10)
    return subject.build(attention, stand_in("feed_forward", d_text=12, d_hidden=9), 12)


@claim("gated_block", "A new block returns the text, bit for bit, whatever is in the pictures.", weight=0.5)
def a_new_block_returns_the_text(subject, draw):
    ours = _block(subject)
    look = (
        "Are both alphas 0 at first, does each go through tanh, and is the text itself added to, unchanged?"
    )
    for visual in (draw.normal(2, 5, 10), 100 * draw.normal(2, 5, 10)):
        text = draw.normal(2, 7, 12)
        expect_same(ours(text, visual), text, tolerance=0.0, look=look)
    opened = {"alpha_cross_attn": torch.tensor([0.8]), "alpha_dense": torch.tensor([-0.6])}
    load_or_fail(ours, {**ours.parameters(), **opened})
    look = "With its gates open the block has to change the text. Do they open?"
    expect_different(ours(text, visual), text, look=look)


@claim("gated_block", "Each gate opens a branch of its own: one lets the picture in, the other does not.")
def each_gate_opens_a_branch_of_its_own(subject, draw):
    ours = _block(subject)
    names = ours.parameters()
    look = "alpha_cross_attn is for what is read, alpha_dense for the feed-forward. Has each branch its gate?"
    expect("alpha_cross_attn" in names and "alpha_dense" in names, seen=f"{', '.join(names)}", look=look)
    text, pictures = draw.normal(2, 7, 12), (draw.normal(2, 5, 10), draw.normal(2, 5, 10))
    for cross, dense in ((0.9, 0.0), (0.0, 0.9)):
        gates = {"alpha_cross_attn": torch.tensor([cross]), "alpha_dense": torch.tensor([dense])}
        load_or_fail(ours, {**names, **gates})
        one, other = (expect_tensor(ours(text, visual), (2, 7, 12)) for visual in pictures)
        expect_different(one, text, look=look)
        if cross:
            expect_different(one, other, look=look)
        else:
            expect_same(one, other, tolerance=0.0, look=look)


@claim("gated_block", "A gate and its negative push the text in opposite directions.")
def a_negative_gate_pushes_the_other_way(subject, draw):
    ours = _block(subject)
    weights = draw.weights_like(ours.parameters())
    text, visual = draw.normal(2, 7, 12), draw.normal(2, 5, 10)
    look = "Each branch adds tanh(alpha) times what it made. Is something else gated, or the sign lost?"
    for gate, other in (("alpha_cross_attn", "alpha_dense"), ("alpha_dense", "alpha_cross_attn")):
        alpha = draw.uniform(0.5, 1.5, 1)
        load_or_fail(ours, {**weights, gate: alpha, other: torch.zeros(1)})
        plus = expect_tensor(ours(text, visual), (2, 7, 12)).double() - text
        load_or_fail(ours, {**weights, gate: -alpha, other: torch.zeros(1)})
        minus = expect_tensor(ours(text, visual), (2, 7, 12)).double() - text
        expect_same(minus, -plus, tolerance=1e-4, look=look)


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
