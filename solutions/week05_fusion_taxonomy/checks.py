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

LANGUAGE_MODEL = {"n_words": 19, "d_text": 8, "n_layers": 3, "frozen": 1}


def _stream(subject, draw, enter=True, blocks=True):
    """A fusion over stand-ins, every parameter drawn: 4 tokens in front, a block for each layer."""
    parts = {"language_model": stand_in("tiny_reader", **LANGUAGE_MODEL)}
    if enter:
        parts["enter"] = stand_in("tiny_entrance", d_visual=6, d_text=8, n_tokens=4)
    if blocks:
        parts["blocks"] = stand_in("linear_reads", n=3, d_text=8, d_visual=6)
    built = subject.build(**parts)
    load_or_fail(built, draw.weights_like(built.parameters(), std=0.5))
    built.eval()
    return built


@claim("stream_fusion", "Tokens in front, blocks between layers, or both: logits at each word.", weight=0.5)
def there_are_logits_at_each_word(subject, draw):
    for enter, blocks in ((True, False), (False, True), (True, True)):
        built = _stream(subject, draw, enter, blocks)
        keep = torch.ones(2, 7, dtype=torch.bool)
        expect_tensor(
            built(draw.normal(2, 5, 6), draw.integers(0, 19, 2, 7), keep),
            (2, 7, 19),
            look="7 words and a vocabulary of 19, with 4 visual tokens in front of them or with none.",
        )


@claim("stream_fusion", "Every word, the first too, has the picture before it; no word hears a later one.")
def the_picture_stands_before_the_words(subject, draw):
    keep = torch.ones(2, 7, dtype=torch.bool)
    for enter, blocks in ((True, False), (False, True), (True, True)):
        built = _stream(subject, draw, enter, blocks)
        visual, ids = draw.normal(2, 5, 6), draw.integers(0, 19, 2, 7)
        before = expect_tensor(built(visual, ids, keep), (2, 7, 19))
        other = expect_tensor(built(draw.normal(2, 5, 6), ids, keep), (2, 7, 19))
        for word in range(7):
            expect_different(
                other[:, word],
                before[:, word],
                look=f"Another picture, and word {word} says the same. What stands before it in the stream?",
            )
        last = torch.cat([ids[:, :-1], (ids[:, -1:] + 1) % 19], dim=1)
        later = expect_tensor(built(visual, last, keep), (2, 7, 19))
        expect_same(later[:, :-1], before[:, :-1], look="Row i of the logits is what is said behind word i.")
        expect_different(later[:, -1], before[:, -1], look="The last word was changed. Are the rows shifted?")


@claim("stream_fusion", "A model into which no picture can come is a ValueError.", weight=0.5)
def a_picture_needs_a_way_in(subject, draw):
    _stream(subject, draw)
    expect_raises(
        lambda: _stream(subject, draw, enter=False, blocks=False),
        "ValueError",
        look="Neither enter nor blocks: what would such a model see?",
    )


# -- thumbnail ---------------------------------------------------------------------------------------------

# (begin thumbnail)
#
#
#
# (end thumbnail)

# -- prefix_lm_mask ----------------------------------------------------------------------------------------


@claim("prefix_lm_mask", "A boolean table for each row of the batch.", weight=0.5)
def there_is_a_table_for_each_row(subject, draw):
    keep = torch.ones(2, 5, dtype=torch.bool)
    seen = expect_tensor(
        subject(keep, torch.arange(5).expand(2, 5) < 3),
        (2, 5, 5),
        look="5 tokens, and each may see some of 5. Has each row of the batch a table?",
    )
    expect(
        seen.dtype == torch.bool, seen=f"a table of type {seen.dtype}", look="A boolean mask: True = keep."
    )


@claim("prefix_lm_mask", "The prefix is full, the answer a triangle, and the prefix sees no answer.")
def the_four_quarters_are_right(subject, draw):
    p, a = 3, 4
    keep = torch.ones(1, p + a, dtype=torch.bool)
    table = expect_tensor(subject(keep, torch.arange(p + a)[None] < p), (1, p + a, p + a))[0] != 0
    for who, quarter, wanted in (
        ("prefix sees prefix", table[:p, :p], p * p),
        ("prefix sees answer", table[:p, p:], 0),
        ("answer sees prefix", table[p:, :p], p * a),
        ("answer sees answer", table[p:, p:], a * (a + 1) // 2),
    ):
        expect(
            int(quarter.sum()) == wanted,
            seen=f"{int(quarter.sum())} of {quarter.numel()} entries say that {who}",
            look="Who looks stands in the row, who is looked at in the column. Is this quarter full, "
            "empty or a triangle?",
        )


@claim("prefix_lm_mask", "Padding is seen by itself and by no real token.", weight=0.5)
def no_real_token_sees_padding(subject, draw):
    keep = torch.tensor([[True, True, False, True, True, False]])
    table = expect_tensor(subject(keep, torch.arange(6)[None] < 4), (1, 6, 6))[0] != 0
    for place in (2, 5):
        others = int(table[keep[0], place].sum())
        itself = bool(table[place, place])
        expect(
            others == 0 and itself,
            seen=f"padding is seen by {others} real tokens" + ("" if itself else ", and not by itself"),
            look="Padding takes Trues out of columns, in the prefix too. What stays on the diagonal?",
        )


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
