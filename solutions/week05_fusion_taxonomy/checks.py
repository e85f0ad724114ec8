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
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- influence_matrix --------------------------------------------------------------------------------------


def wired(subject, draw, wires):
    """A model on your side whose output o hears input n where `wires` is not zero, awake until eval."""
    n_outputs, n_inputs = wires.shape
    model = subject.build_stand_in("tiny_wires", n_inputs=n_inputs, n_outputs=n_outputs)
    load_or_fail(model, {"wires": wires, "scale": draw.uniform(0.5, 1.5, 3)})
    return model


def differently_large(draw, n):
    """n tensors, no two of one shape."""
    return [draw.normal(2, 5 + k) for k in range(n)]


@claim(
    "influence_matrix", "A causal model comes out as a triangle: True on the diagonal and below.", weight=0.5
)
def a_triangle_comes_back_as_a_triangle(subject, draw):
    wires = draw.uniform(0.5, 1.5, 5, 4).tril()
    model = wired(subject, draw, wires)
    model.eval()
    look = "Row o, column n: does output o change when input n alone is replaced, and all others stay?"
    seen = expect_tensor(subject(model, differently_large(draw, 4)), (5, 4), look=look)
    expect(
        seen.dtype == torch.bool, seen=f"a table of type {seen.dtype}", look="True or False, nothing else."
    )
    expect_same(seen, wires != 0, look=look)


@claim("influence_matrix", "An influence a million times weaker than its neighbour is one.", weight=0.5)
def a_faint_influence_is_one(subject, draw):
    wires = torch.tensor([[1.0, 0.0, 1e-6], [0.0, 1.0, 0.0]]) * draw.uniform(1.0, 1.5, 1)
    model = wired(subject, draw, wires)
    model.eval()
    expect_same(
        expect_tensor(subject(model, differently_large(draw, 3)), (2, 3)),
        wires != 0,
        look="What cannot arrive changes not one bit. What is there to tolerate?",
    )


@claim("influence_matrix", "A path that is open now and then is found, with tries enough.", weight=0.5)
def a_path_that_opens_now_and_then_is_found(subject, draw):
    wires = draw.uniform(0.5, 1.5, 3, 3).tril()
    model = subject.build_stand_in("tiny_shut", n_inputs=3, n_outputs=3)
    load_or_fail(model, {"wires": wires, "scale": draw.uniform(0.5, 1.5, 3)})
    model.eval()
    inputs = [-one.abs() for one in differently_large(draw, 3)]
    expect_same(
        expect_tensor(subject(model, inputs, tries=40, seed=draw.integer(0, 99)), (3, 3)),
        wires != 0,
        look="A ReLU stands in each path here, and two replacements in five get through. Is each try another "
        "one, and is one that arrives enough?",
    )


@claim("influence_matrix", "Your inputs are afterwards what they were before.", weight=0.5)
def inputs_stay_as_they_were(subject, draw):
    model = wired(subject, draw, draw.uniform(0.5, 1.5, 2, 3))
    model.eval()
    changed = subject.changed_inputs(model, differently_large(draw, 3))
    expect(
        not changed,
        seen=f"{len(changed)} of 3 inputs were written into",
        look="Which line writes the random numbers, and into whose tensor?",
    )


@claim("influence_matrix", "A model may write into what it is given, and nothing is lost by it.", weight=0.5)
def a_model_that_writes_is_no_trouble(subject, draw):
    wires = draw.uniform(0.5, 1.5, 3, 4).triu()
    model = subject.build_stand_in("tiny_scribbler", n_inputs=4, n_outputs=3)
    load_or_fail(model, {"wires": wires, "scale": draw.uniform(0.5, 1.5, 3)})
    model.eval()
    expect_same(
        expect_tensor(subject(model, differently_large(draw, 4)), (3, 4)),
        wires != 0,
        look="This model overwrites the tensors that it is given. Does each run get copies of its own?",
    )


@claim(
    "influence_matrix", "A model with dropout awake is refused: there a change proves nothing.", weight=0.5
)
def dropout_awake_is_refused(subject, draw):
    model, inputs = wired(subject, draw, draw.uniform(0.5, 1.5, 4, 2)), differently_large(draw, 2)
    model.train()
    expect_raises(
        lambda: subject(model, inputs),
        "ValueError",
        look="Two runs with the same inputs differ here. Do you run it twice, and compare, before you start?",
    )


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
    c, y, x = torch.meshgrid(torch.arange(3), torch.arange(6), torch.arange(8), indexing="ij")
    picture = (100 * c + 10 * y + x)[None].float()  # each number says where it stands
    seen = expect_tensor(subject(picture, 2), (1, 12, 12))[0]
    for patch, top, left in ((0, 0, 0), (1, 0, 2), (4, 2, 0), (11, 4, 6)):
        for number, dy, dx, where in ((0, 0, 0, "first"), (3, 0, 1, "second"), (6, 1, 0, "third")):
            there = seen[patch, number : number + 3]
            expect(
                torch.equal(there, picture[0, :, top + dy, left + dx]),
                seen=f"numbers {number} to {number + 2} of patch {patch} are "
                f"{', '.join(f'{one:03.0f}' for one in there)} (channel, row, column of a pixel)",
                look=f"A 6 x 8 picture in patches of 2; its numbers say where they stand. Patch {patch} "
                f"begins at pixel row {top}, column {left}; there stand the channels of its {where} pixel.",
            )


@claim("raw_patches", "A picture that patches do not tile is refused.", weight=0.5)
def no_pixel_is_dropped_in_silence(subject, draw):
    for height, width, near in ((10, 18, (10, 20)), (13, 15, (15, 15))):
        expect_raises(
            lambda height=height, width=width: subject(draw.normal(1, 3, height, width), 5),
            "ValueError",
            mentions=[height, width, 5, *near],
            look=f"{height} x {width} pixels in patches of 5. What is to become of those left over? Say "
            "height, width, patch, and the nearest height and width that are whole numbers of patches.",
        )
    expect_raises(
        lambda: subject(draw.normal(1, 3, 4, 6), 0),
        "ValueError",
        mentions=[0],
        look="patch=0: what does 4 % 0 give? Look at patch before you divide by it.",
    )


# -- early_fusion ------------------------------------------------------------------------------------------


@claim("early_fusion", "As many tokens as patches, and one more for each row of them.", weight=0.5)
def one_token_more_for_each_row(subject, draw):
    built = subject.build(10, 7)
    for b, v, columns in ((2, 12, 4), (3, 15, 3)):
        expect_tensor(
            built(draw.normal(b, v, 10), columns),
            (b, v + v // columns, 7),
            look=f"{v} patches, {columns} in each row, are {v // columns} rows, and each row gets one token "
            f"more: {v + v // columns} in all.",
        )


@claim("early_fusion", "The last token of a row is the newline, in every row of every picture.", weight=0.5)
def each_row_ends_with_the_newline(subject, draw):
    built = subject.build(10, 7)
    expect_equal(
        sorted(built.parameters()),
        ["newline", "vision_embed_tokens.bias", "vision_embed_tokens.weight"],
        name="the list of parameters",
        look="A map with its bias, and a newline that trains, too: an nn.Parameter.",
    )
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


@claim("early_fusion", "A gradient arrives at the map and at the newline.", weight=0.5)
def all_of_it_trains(subject, draw):
    built = subject.build(10, 7)
    found = built.gradients(draw.normal(2, 12, 10), 4, cotangent=draw.normal(2, 15, 7)).parameters
    still = [name for name, one in found.items() if one is None or not bool(one.any())]
    look = (
        "Nobody has seen raw patches before, so all of this trains. Is something detached, or copied by hand?"
    )
    expect(not still, seen=f"no gradient arrives at {', '.join(still)}", look=look)


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

LATE = {"d_visual": 11, "d_text": 5, "d_shared": 6, "n_answers": 8}
LATE_PARAMETERS = [
    f"{part}.{kind}" for part in ("head.0", "head.2", "picture", "question") for kind in ("bias", "weight")
]


def late_with_weights(subject, draw):
    """One with drawn weights, in eval mode."""
    built = subject.build(**LATE)
    expect_equal(
        sorted(built.parameters()),
        LATE_PARAMETERS,
        name="the list of parameters",
        look="Two linear maps, picture and question, and a head of linear, GELU, linear in an nn.Sequential.",
    )
    load_or_fail(built, draw.weights_like(built.parameters(), std=0.5))
    built.eval()
    return built


@claim("late_fusion", "A row of logits for each pair, from parts of the names that are stated.", weight=0.5)
def a_row_of_logits_for_each_pair(subject, draw):
    late = late_with_weights(subject, draw)
    for b, v, t in ((3, 9, 4), (1, 2, 7)):
        visual, text = draw.normal(b, v, 11), draw.normal(b, t, 5)
        expect_tensor(
            late(visual, text), (b, 8), look="8 possible answers: one logit for each, for each pair."
        )


@claim("late_fusion", "A token that a mask hides changes nothing; a token that it keeps does.")
def a_hidden_token_changes_no_logit(subject, draw):
    late = late_with_weights(subject, draw)
    visual, text = draw.normal(3, 9, 11), draw.normal(3, 4, 5)
    keep, real = draw.keep_mask(3, 9), draw.keep_mask(3, 4)
    before = expect_tensor(late(visual, text, keep, real), (3, 8))
    look = "True means keep. Do both sides use their own mask, in the sum and in the count?"
    for mask, changes in ((~keep, False), (keep, True)):
        other = torch.where(mask[..., None], visual + draw.normal(3, 9, 11), visual)
        after = late(other, text, keep, real)
        (expect_different if changes else expect_same)(after, before, look=f"visual: {look}")
    for mask, changes in ((~real, False), (real, True)):
        other = torch.where(mask[..., None], text + draw.normal(3, 4, 5), text)
        after = late(visual, other, keep, real)
        (expect_different if changes else expect_same)(after, before, look=f"text: {look}")


@claim("late_fusion", "Nine tokens that are all alike say what one of them says.", weight=0.5)
def tokens_all_alike_say_what_one_says(subject, draw):
    late = late_with_weights(subject, draw)
    visual, text = draw.normal(3, 1, 11), draw.normal(3, 1, 5)
    once = expect_tensor(late(visual, text), (3, 8))
    look = "The mean of nine equal tokens is the token. Do you sum, or divide by another number?"
    many, words = visual.repeat(1, 9, 1), text.repeat(1, 4, 1)
    expect_same(late(many, words), once, look=look, tolerance=1e-4)
    masks = draw.keep_mask(3, 9), draw.keep_mask(3, 4)
    look = f"With some of them hidden, still so. {look}"
    expect_same(late(many, words, *masks), once, look=look, tolerance=1e-4)
    look = "Another token, other logits."
    expect_different(late(2 * visual, text), once, look=look)


@claim("late_fusion", "What you are given stays as it was.", weight=0.5)
def nothing_given_is_written_into(subject, draw):
    late = late_with_weights(subject, draw)
    given = draw.normal(3, 9, 11), draw.normal(3, 4, 5), draw.keep_mask(3, 9), draw.keep_mask(3, 4)
    changed = late.changed_inputs(*given)
    look = "Which line writes zeros, or a product, into a tensor that came from outside?"
    expect(not changed, seen=f"{len(changed)} of 4 inputs were written into", look=look)


@claim("late_fusion", "A row that keeps nothing has a mean of zeros: logits like any other.", weight=0.5)
def an_empty_mask_reads_zeros(subject, draw):
    late = late_with_weights(subject, draw)
    visual, text, none = draw.normal(3, 9, 11), draw.normal(3, 4, 5), torch.zeros(3, 9, dtype=torch.bool)
    expect_same(
        expect_tensor(late(visual, text, none), (3, 8)),
        late(torch.zeros_like(visual), text),
        look="Zeros that are kept, and nothing kept: both have a mean of zeros, which then goes through the "
        "linear map. By what do you divide, and what comes first, mean or map?",
    )


# -- stream_fusion -----------------------------------------------------------------------------------------

LANGUAGE_MODEL = {"n_words": 19, "d_text": 8, "n_layers": 3, "frozen": 1}


def _stream(subject, draw, enter=True, blocks=True, n_layers=3, change=None, **given):
    """A fusion over stand-ins, every parameter drawn: 4 tokens in front, a block for each layer.

    `change` gets the drawn weights and may write into them; `given` goes to the learner's `__init__`.
    """
    parts = {"language_model": stand_in("tiny_reader", **{**LANGUAGE_MODEL, "n_layers": n_layers}), **given}
    if enter:
        parts["enter"] = stand_in("tiny_entrance", d_visual=6, d_text=8, n_tokens=4)
    if blocks:
        n = n_layers if blocks is True else blocks
        parts["blocks"] = stand_in("linear_reads", n=n, d_text=8, d_visual=6)
    built = subject.build(**parts)
    weights = draw.weights_like(built.parameters(), std=0.5)
    if change is not None:
        change(weights)
    load_or_fail(built, weights)
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


@claim("stream_fusion", "The same words with padding in front of them say the same.", weight=0.5)
def padding_in_front_changes_nothing(subject, draw):
    for enter, blocks in ((True, False), (False, True), (True, True)):
        built = _stream(subject, draw, enter, blocks)
        visual, ids = draw.normal(2, 5, 6), draw.integers(0, 19, 2, 7)
        keep = torch.ones(2, 9, dtype=torch.bool)
        keep[:, :2] = False  # True = keep
        plain = expect_tensor(built(visual, ids, keep[:, 2:]), (2, 7, 19))
        padded = torch.cat([draw.integers(0, 19, 2, 2), ids], dim=1)
        expect_same(
            expect_tensor(built(visual, padded, keep), (2, 9, 19))[:, 2:],
            plain,
            tolerance=1e-4,
            look="Nobody may see what keep hides, and it takes no place: positions are counted over what is "
            "real, visual tokens among it.",
        )


@claim("stream_fusion", "A block changes the words; the visual tokens of the stream pass it by.", weight=0.5)
def visual_tokens_pass_the_blocks_by(subject, draw):
    weights = {}

    def one_vector_for_all(drawn):  # whatever word goes in, the block returns word 3
        weights.update(drawn)
        word = drawn["language_model.model.embed_tokens.weight"][3]
        for name in list(drawn):
            if name.startswith("blocks."):
                drawn[name] = torch.zeros_like(drawn[name])
        drawn["blocks.0.from_text.bias"] = word.clone()

    both = _stream(subject, draw, n_layers=1, change=one_vector_for_all)
    plain = _stream(
        subject,
        draw,
        blocks=False,
        n_layers=1,
        change=lambda drawn: drawn.update({name: weights[name] for name in drawn}),
    )
    keep, visual, ids = torch.ones(2, 7, dtype=torch.bool), draw.normal(2, 5, 6), draw.integers(0, 19, 2, 7)
    expect_same(
        expect_tensor(both(visual, ids, keep), (2, 7, 19)),
        expect_tensor(plain(visual, torch.full_like(ids, 3), keep), (2, 7, 19)),
        tolerance=1e-4,
        look="This block, before the only layer, turns each word into word 3, so the model must read 4 "
        "visual tokens and seven times word 3. What does your block get? What it returns takes "
        "the words' place, with the visual tokens in front as they were.",
    )


@claim("stream_fusion", "Whoever says who sees whom, and what stands where, is obeyed.", weight=0.5)
def sees_and_positions_are_obeyed(subject, draw):
    built = _stream(subject, draw, blocks=False)
    keep, visual, ids = torch.ones(2, 7, dtype=torch.bool), draw.normal(2, 5, 6), draw.integers(0, 19, 2, 7)
    alone = torch.eye(11, dtype=torch.bool).expand(2, 11, 11)  # each token sees itself; True = may see
    look = "sees is bool b s s, of the whole stream: here each token sees itself alone. Who gets it?"
    once = expect_tensor(built(visual, ids, keep, sees=alone), (2, 7, 19), look=look)
    expect_same(built(draw.normal(2, 5, 6), ids, keep, sees=alone), once, look=look)
    look = "Positions are counted over what is real, and the first real token has 0. Where do yours begin?"
    counted = built(visual, ids, keep, sees=alone, positions=torch.arange(11).expand(2, 11))
    expect_same(once, expect_tensor(counted, (2, 7, 19), look=look), look=look)
    look = "positions, int b s, of the whole stream: given, they are used as they are. Who gets them?"
    moved = built(visual, ids, keep, sees=alone, positions=torch.arange(11).expand(2, 11) + 5)
    expect_different(expect_tensor(moved, (2, 7, 19), look=look), once, look=look)


@claim(
    "stream_fusion", "What visual_mask hides, the blocks do not read, and it is for them alone.", weight=0.5
)
def blocks_read_what_is_kept(subject, draw):
    built = _stream(subject, draw, enter=False)
    keep, visual, ids = torch.ones(2, 7, dtype=torch.bool), draw.normal(2, 5, 6), draw.integers(0, 19, 2, 7)
    mask = draw.keep_mask(2, 5)  # True = keep
    look = "True in visual_mask means keep. Do the blocks get it, as it is?"
    once = expect_tensor(built(visual, ids, keep, mask), (2, 7, 19), look=look)
    for changed, judged in ((~mask, expect_same), (mask, expect_different)):
        other = torch.where(changed[..., None], draw.normal(2, 5, 6), visual)
        judged(built(other, ids, keep, mask), once, look=look)
    built = _stream(subject, draw, blocks=False)
    look = "Without blocks nobody reads visual_mask: what enter returned is real in the stream, all of it."
    expect_same(built(visual, ids, keep, mask), built(visual, ids, keep), look=look)


@claim(
    "stream_fusion", "Every second of three layers has a block: two fit, and three are refused.", weight=0.5
)
def blocks_fit_the_layers(subject, draw):
    _stream(subject, draw, blocks=2, interval=2)
    _stream(subject, draw, n_layers=4, blocks=2, interval=3)
    expect_raises(
        lambda: _stream(subject, draw, blocks=3, interval=2),
        "ValueError",
        mentions=[3, 2],
        look="Blocks before layers 0 and 2 of three. Does a ValueError say how many came and fit?",
    )


@claim("stream_fusion", "A model into which no picture can come is a ValueError.", weight=0.5)
def a_picture_needs_a_way_in(subject, draw):
    _stream(subject, draw)
    expect_raises(
        lambda: _stream(subject, draw, enter=False, blocks=False),
        "ValueError",
        look="Neither enter nor blocks: what would such a model see?",
    )


# -- thumbnail ---------------------------------------------------------------------------------------------


@claim("thumbnail", "A picture of blocks of one value each becomes those values, row by row.")
def blocks_become_their_values(subject, draw):
    for side, high, wide in ((2, 3, 4), (3, 2, 1)):
        values = draw.normal(2, side, side, 5)
        visual = values.repeat_interleave(high, dim=1).repeat_interleave(wide, dim=2).flatten(1, 2)
        grid = (side * high, side * wide)
        seen = expect_tensor(
            subject(visual, grid, side),
            (2, side * side, 5),
            look=f"side={side}: {side} x {side} tokens, of cells of {high} x {wide} patches.",
        )
        expect_same(
            seen,
            values.flatten(1, 2),
            look=f"Every cell of this grid of {grid[0]} x {grid[1]} holds one value in all its patches. Are "
            "patches and cells both read row by row?",
        )


@claim("thumbnail", "One cell over everything is the mean of all patches.", weight=0.5)
def one_cell_is_the_mean_of_all(subject, draw):
    visual = draw.normal(2, 15, 4)
    seen = expect_tensor(subject(visual, (3, 5), 1), (2, 1, 4), look="side=1 leaves one token.")
    expect_same(seen, visual.mean(dim=1, keepdim=True), look="Is it the mean, and of all patches?")


@claim("thumbnail", "What does not fit is refused with the numbers, and with the nearest side that does.")
def what_does_not_fit_is_named(subject, draw):
    visual = draw.normal(1, 216, 3)
    look = "A ValueError with side, both numbers of the grid, and the nearest side that divides both."
    expect_raises(lambda: subject(visual, (12, 18), 4), "ValueError", mentions=(4, 12, 18, 3), look=look)
    look = "A ValueError with how many tokens the grid holds, and how many were given."
    expect_raises(lambda: subject(visual, (10, 21), 1), "ValueError", mentions=(210, 216), look=look)


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


@claim(
    "prefix_lm_mask", "A prefix in two pieces is seen whole by both, and by no answer between.", weight=0.5
)
def a_prefix_may_stand_in_pieces(subject, draw):
    given = torch.tensor([[True, True, False, True, False], [False, True, False, False, True]])
    table = expect_tensor(subject(torch.ones(2, 5, dtype=torch.bool), given), (2, 5, 5)) != 0
    for row, i, j, may in ((0, 0, 3, True), (0, 2, 3, False), (1, 1, 4, True), (1, 0, 1, False)):
        kinds = ["prefix" if given[row, n] else "answer" for n in (i, j)]
        expect(
            bool(table[row, i, j]) is may,
            seen=f"row {row}, counted from 0: token {i} ({kinds[0]}) "
            f"{'does not see' if may else 'sees'} token {j} ({kinds[1]})",
            look="A later token is seen if both are of the prefix, and only then. A row has its own prefix.",
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

COSTS = ("context", "prefill", "writing", "cache_bytes")


def _drawn_sizes(draw, **fixed):
    """Sizes of a small decoder, and a row of (visual, text, written)."""
    sizes = {
        "n_words": draw.integer(150, 250),
        "d_model": 2 * draw.integer(25, 35) + 1,
        "n_layers": 2 * draw.integer(3, 6) + 1,
        "n_heads": 6,
        "n_kv_heads": 2,
        "d_head": 2 * draw.integer(6, 9),
        "d_hidden": draw.integer(80, 120),
    }
    return {**sizes, **fixed}, (draw.integer(31, 60), draw.integer(13, 30), draw.integer(4, 12))


def _costs(subject, sizes, *args, **kwargs):
    """The four costs, each a whole number."""
    look = "Return a dict with context, prefill, writing and cache_bytes, all whole numbers."
    found = expect_keys(subject(stand_in("decoder_sizes", **sizes), *args, **kwargs), COSTS, look=look)
    for key in COSTS:
        expect(type(found[key]) is int, seen=f"{key} is {type(found[key]).__name__}", look=look)
    return found


# The example of the statement, to the last FLOP.
EXAMPLE = {
    "n_words": 10, "d_model": 8, "n_layers": 3, "n_heads": 2, "n_kv_heads": 1, "d_head": 3, "d_hidden": 16,
}  # fmt: skip
EXAMPLE_COSTS = (
    ("in the stream", {}, (7, 17_800, 7_592, 252)),
    ("beside it", {"cross_every": 2, "d_visual": 6}, (4, 11_344, 11_288, 216)),
)


@claim("answer_cost", "The example of the statement comes out as it stands there.")
def the_example_comes_out(subject, draw):
    for where, more, wanted in EXAMPLE_COSTS:
        found = _costs(subject, EXAMPLE, 3, 2, 2, **more)
        for key, number in zip(COSTS, wanted, strict=True):
            expect(
                found[key] == number,
                seen=f"{where}, {key} is {found[key]:,}",
                look=f"The statement has {number:,} there. Its sizes are small enough for paper. Write "
                "the products down, one by one. Which of yours is missing, or is there twice?",
            )


@claim("answer_cost", "In the stream a visual token costs what a word costs; beside it, it takes no place.")
def a_visual_token_is_a_word_in_the_stream_only(subject, draw):
    sizes, (visual, text, written) = _drawn_sizes(draw)
    one, other = (
        _costs(subject, sizes, visual, text, written),
        _costs(subject, sizes, 9, visual + text - 9, written),
    )
    for key in COSTS:
        seen = f"{key} changes when {visual - 9} visual tokens are words instead"
        expect(
            one[key] == other[key], seen=seen, look="What does a layer know about where a token comes from?"
        )
    expect_equal(
        one["context"],
        visual + text + written,
        name=f"context of ({visual}, {text}, {written})",
        look="What stands in the stream when the answer ends?",
    )
    few, many = (
        _costs(subject, sizes, v, text, written, cross_every=2, d_visual=33) for v in (visual, 7 * visual)
    )
    look = "Blocks read the picture beside the stream. What is left in the stream? What still grows with it?"
    expect_equal(few["context"], text + written, name=f"context of ({visual}, {text}, {written})", look=look)
    for key in COSTS[1:]:
        seen = f"{key} does not grow with the picture"
        expect(few[key] < many[key], seen=seen, look=look)


@claim("answer_cost", "The cache knows the heads of keys and the bytes of a number, and no query head.")
def the_cache_knows_heads_of_keys(subject, draw):
    sizes, row = _drawn_sizes(draw)
    cached = [
        _costs(subject, {**sizes, **change}, *row, **more)["cache_bytes"]
        for change, more in (
            ({}, {}),
            ({"n_heads": 12}, {}),
            ({"n_kv_heads": 6}, {}),
            ({}, {"bytes_per_number": 4}),
        )
    ]
    look = "Several query heads may share one head of keys and values. Which of the two numbers is cached?"
    seen = [f"{n / max(1, cached[0]):.2f}" for n in cached[1:]]
    told = (
        f"{seen[0]} times the bytes for twice the query heads, {seen[1]} times for three times the key heads"
    )
    expect(cached[1] == cached[0] and cached[2] == 3 * cached[0], seen=told, look=look)
    expect(
        cached[3] == 2 * cached[0],
        seen=f"{seen[2]} times the bytes when a number has four instead of two",
        look="Is bytes_per_number used, once?",
    )


@claim("answer_cost", "The width of the picture costs something once, before the first word is written.")
def a_pictures_keys_are_made_once(subject, draw):
    sizes, row = _drawn_sizes(draw)
    narrow, wide = (_costs(subject, sizes, *row, cross_every=2, d_visual=width) for width in (21, 42))
    look = "Keys and values of the picture are made from d_visual numbers a token. When, and how often?"
    expect(wide["prefill"] > narrow["prefill"], seen="the prefill does not know d_visual", look=look)
    expect(wide["writing"] == narrow["writing"], seen="the writing grows with d_visual", look=look)
    expect_raises(
        lambda: subject(stand_in("decoder_sizes", **sizes), *row, cross_every=2),
        "ValueError",
        mentions=["d_visual"],
        look="Blocks and no d_visual: say so in a ValueError.",
    )


# -- my_fusion ---------------------------------------------------------------------------------------------

TOKENS, PARAMETERS, FLOPS = 6, 120_000, 1_500_000  # the budget: in the stream, trained, and for one picture


@claim("my_fusion", "A picture becomes at most 6 tokens, each as wide as a word.")
def tokens_stay_within_the_budget(subject, draw):
    built = subject.build()
    for b in (3, 1):
        seen = expect_tensor(built(draw.normal(b, 36, 128)), look="forward returns the tokens, nothing else.")
        shape = tuple(seen.shape)
        look = "The language model reads (b, n, 128): pictures, tokens, width of a word. Which axis is which?"
        expect(len(shape) == 3 and (shape[0], shape[2]) == (b, 128), seen=f"shape {shape}", look=look)
        look = f"At most {TOKENS} tokens may stand in the stream. Where do 36 patches become fewer?"
        expect(1 <= shape[1] <= TOKENS, seen=f"{shape[1]} tokens", look=look)


@claim("my_fusion", "It has parameters that can be trained, and at most 120,000 of them.")
def parameters_stay_within_the_budget(subject, draw):
    sizes = {name: one.numel() for name, one in subject.build().parameters().items()}
    look = "Parameters belong to __init__, in layers or as nn.Parameter. Where are they made?"
    expect(bool(sizes), seen="no parameter at all", look=look)
    largest = max(sizes, key=sizes.__getitem__)
    expect(
        sum(sizes.values()) <= PARAMETERS,
        seen=f"{sum(sizes.values()):,} parameters, {sizes[largest]:,} of them in {largest}",
        look=f"{PARAMETERS:,} are allowed. What is wide on both sides, and on which could it be narrow?",
    )


@claim("my_fusion", "In training, too, a picture's tokens are its own.")
def a_picture_keeps_its_tokens_in_company(subject, draw):
    built = subject.build()
    built.train()
    one, other, third = draw.normal(3, 36, 128).split(1)
    seen = [expect_tensor(built(torch.cat([one, friend]))) for friend in (other, third)]
    look = "Only the second picture was exchanged. What mixes pictures: a sum or a norm over the batch?"
    expect_same(seen[1][:1], seen[0][:1], tolerance=1e-4, look=look)


@claim("my_fusion", "Any widths that are multiples of 16 will do.", weight=0.5)
def both_widths_are_arguments(subject, draw):
    seen = expect_tensor(subject.build(48, 80)(draw.normal(2, 36, 48)))
    look = "Patches 48 wide, words of 80. Is a 128 written somewhere?"
    expect(seen.ndim == 3 and seen.shape[2] == 80, seen=f"shape {tuple(seen.shape)}", look=look)


@claim("my_fusion", "One picture costs it at most 1,500,000 FLOPs.")
def flops_stay_within_the_budget(subject, draw):
    b, wide, narrow = draw.integer(5, 9), draw.integer(10, 20), draw.integer(30, 50)
    known = subject.build_stand_in("linear_read", d_text=wide, d_visual=narrow)
    least = 2 * b * (wide * wide + narrow * wide)  # its two linear maps
    seen = known.flops(draw.normal(b, 1, wide), draw.normal(b, 3, narrow))
    look = "This is about a part of the course's own. Does your notebook change torch, or its counter?"
    expect(seen >= least, seen=f"the counter finds {seen:,} FLOPs where there are {least:,}", look=look)
    cost = subject.build().flops(draw.normal(1, 36, 128))
    expect(
        cost <= FLOPS,
        seen=f"{cost:,} FLOPs",
        look=f"{FLOPS:,} are allowed; a map of n tokens costs 2 x n x in x out. Which map runs over all 36 "
        "patches, and does it have to be so wide, or to come before there are fewer?",
    )


# -----------------------------------------------------------------------------------------------------------

check = door(globals())
