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
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- qformer_layer ---------------------------------------------------------------------------------------

LAYER = {"d_model": 12, "d_visual": 10, "n_heads": 3, "d_hidden": 20}


def a_layer_that_looks(subject, draw):
    """A layer with drawn weights, not in training, and the weights."""
    layer = subject.build(**LAYER, looks=True)
    weights = draw.weights_like(layer.parameters())
    load_or_fail(layer, weights)
    layer.eval()
    return layer, weights


@claim("qformer_layer", "Queries and text come out as they went in: as many, as wide, queries first.", 0.5)
def a_layer_keeps_its_shape(subject, draw):
    for looks in (True, False):
        layer = subject.build(**LAYER, looks=looks)
        tokens, visual = draw.normal(2, 13, 12), draw.normal(2, 9, 10)
        for n_queries in (5, 13, 0):
            expect_tensor(
                layer(tokens, n_queries, None, visual),
                (2, 13, 12),
                look=f"13 tokens go in, {n_queries} of them queries; 13 come out, queries first.",
            )


@claim("qformer_layer", "In one layer another picture moves every query, and no text.", 0.5)
def another_picture_moves_the_queries(subject, draw):
    layer, _ = a_layer_that_looks(subject, draw)
    tokens = draw.normal(2, 13, 12)
    one, other = (layer(tokens, 5, None, draw.normal(2, 9, 10)) for _ in range(2))
    one, other = expect_tensor(one, (2, 13, 12)), expect_tensor(other, (2, 13, 12))
    moved = [i for i in range(13) if float((other - one)[:, i].abs().max()) > 1e-5]
    expect(
        moved != list(range(8, 13)),
        seen="the last 5 of 13 tokens move, and the first 5 were the queries",
        look="Queries come in first, and go out first. In which order are the two sides put together?",
    )
    expect_same(
        other[:, 5:],
        one[:, 5:],
        look="All hear each other first, then the queries alone look. Does text look, too?",
    )
    for i in range(5):
        expect_different(other[:, i], one[:, i], look=f"Query {i} sees no difference. Does it look?")


@claim("qformer_layer", "A patch that visual_mask hides changes nothing; a patch that it keeps does.", 0.5)
def a_hidden_patch_changes_nothing(subject, draw):
    layer, _ = a_layer_that_looks(subject, draw)
    tokens, visual = draw.normal(2, 13, 12), draw.normal(2, 9, 10)
    keep = torch.arange(9) < torch.tensor([[4], [6]])
    look = (
        "visual_mask is b v, True = keep; the attention wants to know it for each asking token, as b 1 v. "
        "Does it arrive, with that axis, and the right way round?"
    )
    clean = expect_tensor(layer(tokens, 5, None, visual, keep), (2, 13, 12), look=look)
    noise = draw.normal(2, 9, 10)
    hidden, kept = torch.where(keep[..., None], visual, noise), torch.where(keep[..., None], noise, visual)
    expect_same(layer(tokens, 5, None, hidden, keep), clean, look=look)
    expect_different(layer(tokens, 5, None, kept, keep), clean, look=look)


@claim("qformer_layer", "Another feed-forward for one side moves that side, and leaves the other alone.", 0.5)
def each_side_goes_through_its_own(subject, draw):
    layer, weights = a_layer_that_looks(subject, draw)
    tokens, visual = draw.normal(2, 13, 12), draw.normal(2, 9, 10)
    before = expect_tensor(layer(tokens, 5, None, visual), (2, 13, 12))
    sides = {"queries": (slice(0, 5), "intermediate_query", "output_query")}
    sides["text"] = (slice(5, 13), "intermediate", "output")
    for whose, (mine, *parts) in sides.items():
        changed = {
            name: value + draw.normal(*value.shape) if name.split(".")[0] in parts else value
            for name, value in weights.items()
        }
        load_or_fail(layer, changed)
        after = expect_tensor(layer(tokens, 5, None, visual), (2, 13, 12))
        look = f"{parts[0]} and {parts[1]} were changed: they are for the {whose}. Who goes through them?"
        expect_different(after[:, mine], before[:, mine], look=look)
        others = slice(5, 13) if whose == "queries" else slice(0, 5)
        expect_same(after[:, others], before[:, others], look=look)


@claim("qformer_layer", "What goes on is what a part's norm gives; where that is constant, nobody is left.")
def nothing_is_added_behind_a_norm(subject, draw):
    layer, weights = a_layer_that_looks(subject, draw)
    visual = draw.normal(2, 9, 10)
    one, other = draw.normal(2, 13, 12), draw.normal(2, 13, 12)
    parts = {"attention": ("attention.output.LayerNorm.weight", slice(0, 13))}
    parts["crossattention"] = ("crossattention.output.LayerNorm.weight", slice(0, 5))
    parts["output_query"] = ("output_query.LayerNorm.weight", slice(0, 5))
    parts["output"] = ("output.LayerNorm.weight", slice(5, 13))
    for part, (name, silenced) in parts.items():
        load_or_fail(layer, {**weights, name: torch.zeros(12)})
        seen = expect_tensor(layer(one, 5, None, visual), (2, 13, 12))
        expect_same(
            expect_tensor(layer(other, 5, None, visual), (2, 13, 12))[:, silenced],
            seen[:, silenced],
            look=f"Here the norm in {part} multiplies by 0, so what came in is forgotten, and it should "
            "stay so. The parts add by themselves: is something added once more, or an older row handed on?",
        )
    load_or_fail(layer, weights)
    look = "Other tokens go in, and the same comes out. Are they used?"
    expect_different(layer(other, 5, None, visual), expect_tensor(layer(one, 5, None, visual)), look=look)


@claim("qformer_layer", "Queries alone leave the text's feed-forward alone; with text it takes part.", 0.5)
def no_text_no_feed_forward_for_text(subject, draw):
    layer, _ = a_layer_that_looks(subject, draw)
    visual = draw.normal(2, 9, 10)
    for n_text, wanted in ((0, False), (8, True)):
        tokens = draw.normal(2, 5 + n_text, 12)
        found = layer.gradients(tokens, 5, None, visual, cotangent=draw.normal(2, 5 + n_text, 12)).parameters
        used = found.get("intermediate.dense.weight") is not None
        expect(
            used == wanted,
            seen=f"with 5 queries and {n_text} text tokens, the text's feed-forward is "
            f"{'called' if used else 'not called'}",
            look="Stage 2 deletes intermediate and output, and runs queries alone: a call would fail there. "
            "Are they called if there is text, and only then?",
        )


@claim("qformer_layer", "Queries that should look and have no picture: a ValueError that says how many.", 0.5)
def queries_without_a_picture_are_refused(subject, draw):
    layer, _ = a_layer_that_looks(subject, draw)
    tokens = draw.normal(2, 13, 12)
    look = "Say it before something inside breaks: looks=True, n_queries queries, and visual=None."
    expect_raises(lambda: layer(tokens, 7), "ValueError", mentions=[7], look=look)


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


@claim("qformer_mask", "In every task every query sees every query.", weight=0.5)
def queries_see_each_other_in_every_task(subject, draw):
    for task in MASK_TASKS:
        table = expect_tensor(subject(task, 4, torch.ones(1, 3, dtype=torch.bool)), (1, 7, 7))[0] != 0
        seen = int(table[:4, :4].sum())
        expect(
            seen == 16,
            seen=f"for {task!r}, queries see queries in {seen} of 16 entries",
            look="Queries have no order: none comes before another. Which tokens is a triangle for?",
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


@claim(
    "itc_loss",
    "Where nothing tells the pairs apart, the loss is log(b), with and without smoothing.",
    weight=0.5,
)
def nothing_to_tell_apart_costs_log_b(subject, draw):
    b, e = 6, 9
    for q, smoothing in ((b, 0.0), (4, 0.0), (4, 0.1)):  # first a number of queries at which no shape breaks
        pictures, texts = draw.normal(1, q, e).expand(b, q, e), draw.normal(1, e).expand(b, e)
        seen = expect_tensor(
            subject(pictures, texts, 0.2, smoothing),
            (),
            look="A loss is one number. Is the mean taken over the batch?",
        )
        expect_same(
            seen,
            torch.tensor(6.0).log(),
            look="Six pairs that are all alike: the right one can only be guessed, and one in six guesses is "
            "right. Of the table pictures, queries, texts: is the largest over the queries taken, so that "
            "pictures and texts are left? Is the mean over the batch, and over the two directions?",
        )


@claim("itc_loss", "One query that points where the text points is enough for a pair, however long it is.")
def one_query_is_enough_for_a_pair(subject, draw):
    b, q, e, heat, smoothing = 4, 3, 7, 0.3, 0.2
    texts = torch.linalg.qr(draw.normal(e, e)).Q[:b]  # at right angles
    pictures = -texts[:, None].repeat(1, q, 1)  # away from their own text ...
    pictures[torch.arange(b), draw.integers(1, q, b)] *= -1  # ... but for one query each
    pictures = pictures * draw.uniform(0.5, 3.0, b, q, 1)
    seen = expect_tensor(subject(pictures, texts * draw.uniform(0.5, 3.0, b, 1), heat, smoothing), ())
    # The largest cosine is 1 for the right pairs and 0 for all others.
    sure = torch.log1p((b - 1) * torch.tensor(-1 / heat).exp())
    expect_same(
        seen,
        sure + smoothing * (b - 1) / b / heat,
        look="Here the nearest query has a cosine of 1 for the right text and of 0 for every other. Is the "
        "largest over the queries taken, of vectors of length 1, and divided by the temperature? Does the "
        "smoothing arrive?",
    )


# -- sample_negatives ------------------------------------------------------------------------------------


def drawn_negatives(subject, draw, logits, calls):
    """What `calls` calls drew, each with a seed of its own: int[calls 2 b], no number the own one."""
    call = {"op": "call", "target": subject.name, "args": (logits,), "kwargs": {}}
    seeds = draw.integers(0, 1 << 62, calls).tolist()
    b, found = len(logits), []
    replies = subject.several(*({**call, "seed": seed} for seed in seeds))
    for _ in seeds:
        rows = next(replies).get("value")
        expect(
            isinstance(rows, (tuple, list)) and len(rows) == 2,
            seen=f"a {type(rows).__name__} instead of two tensors",
            look="Return two: a text for each picture, and a picture for each text.",
        )
        for row in rows:
            expect_tensor(row, (b,), look="One number for each picture, and one for each text: shape [b].")
            expect(
                row.dtype in (torch.int64, torch.int32) and bool(((row >= 0) & (row < b)).all()),
                seen=f"numbers of type {row.dtype}, from {float(row.min()):g} to {float(row.max()):g}",
                look="Each number is a column, or a row, of the table, to be used as an index.",
            )
            own = int((row == torch.arange(b)).sum())
            expect(
                own == 0,
                seen=f"{own} of {b} drew their own",
                look="The own one is no wrong one. Which logit has a probability of exactly 0?",
            )
        found.append(torch.stack([row.long() for row in rows]))
    return torch.stack(found)


@claim(
    "sample_negatives", "Never the own one, although it is the most alike; sooner or later every other one."
)
def every_other_one_may_come(subject, draw):
    """By bad luck a right answer fails once in 2e10: 40 pairs, each missed with a chance of .76 ** 100."""
    drawn = drawn_negatives(subject, draw, 0.01 * draw.normal(5, 5) + 7 * torch.eye(5), 100)
    for who, row in (("pictures", 0), ("texts", 1)):
        met = {(i, j) for one in drawn[:, row].tolist() for i, j in enumerate(one)}
        expect(
            len(met) == 20,
            seen=f"in 100 calls, {who} met {len(met)} of the 20 wrong ones",
            look="Here all others are about as likely. Is one drawn, or is the best one picked?",
        )


@claim("sample_negatives", "One that is ahead by log(n) is drawn as often as n others together.")
def one_ahead_is_drawn_half_the_time(subject, draw):
    """39 others of which one is ahead by log(38): it comes with probability 1 / 2.

    In n = 40 * 30 = 1,200 draws its share is within .0893 of that, but for 2 exp(-2 n .0893 ** 2) = 1e-8
    (Hoeffding) for each direction. Picking the hardest gives 1, drawing evenly 1 / 39.
    """
    b, calls, margin = 40, 30, 0.0893
    places, ahead = torch.arange(b), (torch.arange(b) + draw.integer(1, b)) % b
    # A picture that is more like all texts than another one is not choosier for it.
    logits = draw.normal(b, 1) + 4 * torch.eye(b)
    logits[places, ahead] += torch.tensor(b - 2.0).log()
    for who, row, asked in (("pictures", 0, logits), ("texts", 1, logits.T.contiguous())):
        drawn = drawn_negatives(subject, draw, asked, calls)[:, row]
        share = float((drawn == ahead).double().mean())
        expect(
            abs(share - 0.5) <= margin,
            seen=f"{who} drew the one ahead in {share:.1%} of {drawn.numel():,} draws (allowed: "
            f"{0.5 - margin:.1%} to {0.5 + margin:.1%})",
            look="More often: is it picked, not drawn? Less often: is there a softmax, along the row of "
            "whoever draws, and is the table transposed for the texts?",
        )


# -- itm_loss --------------------------------------------------------------------------------------------

MATCHER = {"n_words": 17, "d_visual": 9, "d_model": 6}


def a_matcher(subject, draw, **fixed):
    """A judge with drawn weights, and four pairs: pictures, texts, keep, wrong texts, wrong pictures."""
    judge = subject.build_stand_in("tiny_matcher", **MATCHER)
    judge.load({**draw.weights_like(judge.parameters(), std=1.5), **fixed})
    keep = torch.arange(5) < draw.permutation(4)[:, None] + 1
    own = torch.arange(4)
    numbers = (own + 1) % 4, (own + 3) % 4
    return judge, (draw.normal(4, 3, 9), draw.integers(0, 17, 4, 5), keep, *numbers)


@claim("itm_loss", "A judge who always says the same pays for one pair in three that match.")
def a_judge_who_always_says_the_same_pays_a_known_price(subject, draw):
    no, yes = draw.uniform(-2, -1, 1), draw.uniform(1, 2, 1)
    judge, given = a_matcher(
        subject, draw, **{"judge.weight": torch.zeros(2, 6), "judge.bias": torch.cat([no, yes])}
    )
    surely = torch.nn.functional.softplus(torch.cat([no - yes, yes - no, yes - no]))
    same = subject(judge, *given)
    expect_same(
        same,
        surely.mean(),
        look="Of three pairs one matches (class 1) and two do not (class 0). Is it the mean cross-entropy?",
    )
    look = "Is the judge asked about the pairs at all?"
    awake = []
    for _ in range(6):
        judge, given = a_matcher(subject, draw)
        awake.append(expect_tensor(subject(judge, *given), (), look=look))
    expect_different(torch.stack(awake), same.expand(6), look=look)


@claim("itm_loss", "What stands in a text's padding changes nothing, and the words do.")
def padding_tells_the_judge_nothing(subject, draw):
    judge, (visual, ids, keep, *numbers) = a_matcher(subject, draw)
    before = subject(judge, visual, ids, keep, *numbers)
    noises = [(ids + draw.integers(1, 17, 4, 5)) % 17 for _ in range(6)]
    expect_same(
        subject(judge, visual, torch.where(keep, ids, noises[0]), keep, *numbers),
        before,
        look="Each text has its own row of keep. When a text is put beside another picture, does its row "
        "of keep go with it?",
    )
    other = [subject(judge, visual, torch.where(keep, noise, ids), keep, *numbers) for noise in noises]
    expect_different(
        torch.stack(other), before.expand(6), look="True in keep means real. Is it turned round?"
    )


# -- itg_loss --------------------------------------------------------------------------------------------

WRITER = {"n_words": 15, "d_visual": 9, "d_model": 6}
WRITE = 14  # the id of the sign to write; no drawn text has it


def a_writer(subject, draw, **fixed):
    """A writer with drawn weights, and three pairs: pictures, texts of 4, 2 and 6 tokens, keep."""
    writer = subject.build_stand_in("tiny_writer", **WRITER)
    writer.load({**draw.weights_like(writer.parameters(), std=1.0), **fixed})
    keep = torch.arange(6) < torch.tensor([[4], [2], [6]])
    return writer, draw.normal(3, 5, 9), draw.integers(0, WRITE, 3, 6), keep


@claim("itg_loss", "A writer to whom all words are alike pays the logarithm of their number.")
def a_guess_costs_the_logarithm_of_the_words(subject, draw):
    alike = {"write.weight": torch.zeros(15, 6), "write.bias": torch.full((15,), 0.7)}
    writer, *given = a_writer(subject, draw, **alike)
    guess = subject(writer, *given, WRITE)
    expect_same(
        guess,
        torch.tensor(15.0).log(),
        look="All 15 logits are equal at each place: a cross-entropy of log 15 a word. Is it the mean over "
        "words, and are the words on the last axis of the logits?",
    )
    look = "Is the writer asked at all?"
    awake = []
    for _ in range(6):
        writer, *given = a_writer(subject, draw)
        awake.append(expect_tensor(subject(writer, *given, WRITE), (), look=look))
    expect_different(torch.stack(awake), guess.expand(6), look=look)


@claim("itg_loss", "The first token, whatever it was, gives way to write_id.")
def the_first_token_gives_way_to_write_id(subject, draw):
    writer, visual, ids, keep = a_writer(subject, draw)
    before = subject(writer, visual, ids, keep, WRITE)
    other = torch.cat([(ids[:, :1] + draw.integers(1, WRITE, 3, 1)) % WRITE, ids[:, 1:]], dim=1)
    expect_same(
        subject(writer, visual, other, keep, WRITE),
        before,
        look="The first token is replaced before the writer sees it, and nobody learns to say it. Is it?",
    )
    expect_different(
        torch.stack([subject(writer, visual, ids, keep, sign) for sign in range(WRITE)]),
        before.expand(WRITE),
        look="Another write_id should change what is written. Does the writer see it?",
    )


@claim("itg_loss", "A batch costs the mean over its words: a long text counts word by word.")
def a_long_text_counts_word_by_word(subject, draw):
    writer, visual, ids, keep = a_writer(subject, draw)
    whole = subject(writer, visual, ids, keep, WRITE)
    look = (
        "Texts of 4, 2 and 6 tokens have 3, 1 and 5 words to learn, 9 in all, each with the same weight. "
        "How many targets does your loss have here?"
    )
    alone = [
        expect_tensor(
            subject(writer, visual[k : k + 1], ids[k : k + 1], keep[k : k + 1], WRITE), (), look=look
        )
        for k in range(3)
    ]
    expect_same(whole, (3 * alone[0] + alone[1] + 5 * alone[2]) / 9, look=look)


@claim("itg_loss", "The ids it was given stay as they were.", weight=0.5)
def the_ids_stay_as_they_were(subject, draw):
    writer, visual, ids, keep = a_writer(subject, draw)
    written = subject.changed_inputs(writer, visual, ids, keep, WRITE)
    expect(
        not written,
        seen="the ids were written into",
        look="The other two tasks read the same ids, and need their [CLS]. Do you assign into a copy?",
    )


# -- query_similarity ------------------------------------------------------------------------------------


@claim("query_similarity", "One number for every pair of queries, and 1 for a query with itself.", 0.5)
def a_query_is_like_itself(subject, draw):
    seen = expect_tensor(
        subject(draw.normal(3, 5, 7)), (5, 5), look="Three pictures, five queries: a table of 5 by 5."
    )
    expect_same(
        torch.diagonal(seen),
        torch.ones(5),
        look="First the cosine in each picture, of vectors of length 1; then the mean over pictures. Is it "
        "in this order?",
    )


@claim("query_similarity", "Right angles are not alike, and opposite directions cancel equal ones.", 0.5)
def right_angles_are_not_alike(subject, draw):
    # Two pictures. Queries 0 and 1 stand at right angles; query 2 is query 0, the second time turned round.
    read = torch.tensor([[[3.0, 0.0], [0.0, 2.0], [5.0, 0.0]], [[0.0, 1.0], [4.0, 0.0], [0.0, -2.0]]])
    expect_same(
        subject(read),
        torch.eye(3),
        look="Work it out by hand: two pictures, and in each a cosine for every pair.",
    )


# -- query_prefix ----------------------------------------------------------------------------------------


@claim("query_prefix", "One word for every query, and it depends on the picture.")
def one_word_for_every_query(subject, draw):
    part = stand_in("tiny_qformer", d_model=6, d_visual=5, n_layers=2)
    ours = subject.build(draw.normal(1, 4, 6), part, d_text=9)
    ours.eval()
    visual = draw.normal(3, 7, 5)
    seen = expect_tensor(ours(visual), (3, 4, 9), look="pictures, queries, width of a word: b q d_text.")
    look = "Another picture, another prefix. Is it the Q-Former's answer that you project?"
    expect_different(ours(draw.normal(3, 7, 5)), seen, look=look)
    look = "The first picture was left as it was. Does each picture keep to its own row?"
    expect_same(ours(torch.cat([visual[:1], draw.normal(2, 7, 5)]))[:1], seen[:1], look=look)


@claim("query_prefix", "Your copy has lost the text's feed-forwards; the Q-Former that was given keeps them.")
def your_copy_has_lost_the_text_side(subject, draw):
    given = subject.build_stand_in("tiny_qformer", d_model=6, d_visual=5, n_layers=3)
    text_side = [name for name in given.parameters() if ".intermediate." in name or ".output." in name]
    ours = subject.build(draw.normal(1, 4, 6), given, d_text=9).parameters()
    left = [name for name in ours if ".intermediate." in name or ".output." in name]
    look = "layer.intermediate and layer.output, in every layer of qformer.encoder.layer. Are they deleted?"
    expect(not left, seen=f"{len(left)} parameters for text are left, such as {left[:1]}", look=look)
    there = given.parameters()
    gone = [name for name in text_side if name not in there]
    look = "Stage 1 may be needed again. Did you delete before you copied?"
    expect(not gone, seen=f"the Q-Former that was given has lost {len(gone)} parameters", look=look)


@claim("query_prefix", "Queries, Q-Former and projection all learn.")
def all_of_it_learns(subject, draw):
    part = stand_in("tiny_qformer", d_model=6, d_visual=5, n_layers=2)
    ours = subject.build(draw.normal(1, 4, 6), part, d_text=9)
    found = ours.gradients(draw.normal(3, 7, 5), cotangent=draw.normal(3, 4, 9)).parameters
    look = "A gradient has to arrive everywhere. Is something frozen, detached, or no nn.Parameter?"
    for part in ("query_tokens", "qformer.", "language_projection."):
        mine = {name: grad for name, grad in found.items() if name.startswith(part)}
        expect(bool(mine), seen=f"no parameter is called {part}", look=look)
        still = [name for name, grad in mine.items() if grad is None or not bool(grad.any())]
        expect(not still, seen=f"no gradient arrives at {still[:1]}", look=look)


@claim("query_prefix", "It begins with copies: what stage 1 has learned, in a memory of its own.")
def it_begins_with_copies_of_its_own(subject, draw):
    part = subject.build_stand_in("tiny_qformer", d_model=6, d_visual=5, n_layers=2)
    queries, learned = draw.normal(1, 4, 6), part.parameters()
    ours = subject.build(queries, part, d_text=9)
    mine = ours.parameters()
    look = "The queries come from stage 1, as they are. Is self.query_tokens a copy of them?"
    expect_same(mine.get("query_tokens"), queries, look=look)
    kept = {name: one for name, one in mine.items() if name.startswith("qformer.")}
    look = "The Q-Former comes from stage 1, with what it has learned. Is self.qformer a deep copy?"
    for name, one in kept.items():
        expect_same(one, learned[name.removeprefix("qformer.")], look=f"{name}: {look}")
    load_or_fail(ours, draw.weights_like(mine))
    moved = [name for name, one in part.parameters().items() if not torch.equal(one, learned[name])]
    look = "Your weights were changed, and stage 1's changed with them. Do the two share a memory?"
    expect(not moved, seen=f"{len(moved)} parameters of stage 1 moved, such as {moved[:1]}", look=look)
    expect_raises(
        lambda: subject.build(draw.normal(3, 4, 6), part, d_text=9),
        "ValueError",
        mentions=[3, 4, 6],
        look="query_tokens is (1, q, d). Another shape is refused, and the message names it.",
    )


@claim("query_prefix", "Queries see each other and what visual_mask keeps; a linear map makes words of them.")
def queries_see_each_other_and_what_is_kept(subject, draw):
    ours = subject.build(
        draw.normal(1, 4, 6), stand_in("tiny_qformer", d_model=6, d_visual=5, n_layers=2), d_text=9
    )
    weights = draw.weights_like(ours.parameters(), std=0.6)
    load_or_fail(ours, weights)
    ours.eval()
    visual, keep = draw.normal(2, 7, 5), draw.keep_mask(2, 7)  # True = keep
    once = expect_tensor(ours(visual, keep), (2, 4, 9))
    look = "True in visual_mask means keep. Does the Q-Former get it, as it is?"
    for changed, judged in ((~keep, expect_same), (keep, expect_different)):
        judged(ours(torch.where(changed[..., None], draw.normal(2, 7, 5), visual), keep), once, look=look)
    look = "The queries are one nn.Parameter, self.query_tokens."
    expect("query_tokens" in weights, seen="no parameter is called query_tokens", look=look)
    queries = weights["query_tokens"].clone()
    queries[:, 3] = draw.normal(6)
    load_or_fail(ours, {**weights, "query_tokens": queries})
    still = (ours(visual, keep) - once).abs().amax(dim=(0, 2)) < 1e-6
    look = "All tokens are queries, and all see each other: sees=None, and how many queries are there?"
    expect(
        not bool(still.any()), seen=f"another last query moves {int((~still).sum())} of 4 words", look=look
    )
    bare = {"language_projection.weight": torch.zeros(9, 6), "language_projection.bias": draw.normal(9)}
    load_or_fail(ours, {**weights, **bare})
    look = "The projection's weights are zero here. What else is done to a word, behind it?"
    expect_same(ours(visual, keep), bare["language_projection.bias"].expand(2, 4, 9), look=look)


# -- blip2_answers ---------------------------------------------------------------------------------------


@claim(
    "blip2_answers", "One answer for each picture: the new text, without prompt, special tokens and spaces."
)
def only_new_text_for_each_picture(subject, draw):
    parts = stand_in("tiny_captioner", n_queries=3), stand_in("tiny_processor", n_queries=3)
    shown = [draw.integers(0, 256, 6, 8, 3).byte() for _ in range(4)]
    for asked in (None, ["what is this ?"] * 4):
        seen = subject(*parts, shown, asked)
        fine = isinstance(seen, list) and len(seen) == 4 and all(isinstance(one, str) for one in seen)
        expect(fine, seen="something else than a list of 4 texts", look="4 pictures, 4 answers, in a list.")
        for one in seen:
            look = (
                "generate returns the prompt, too. Which ids are new, which are special, what is white space?"
            )
            fine = bool(one) and one == one.strip() and not any(mark in one for mark in "<>?:")
            expect(fine, seen=f"the answer {one[:60]!r}", look=look)
        look = "Four pictures, and all answers are alike. Does each row get its own picture?"
        expect(len(set(seen)) > 1, seen=f"{seen[0][:40]!r}, four times", look=look)


@claim("blip2_answers", "In company a question gets the answer that it gets alone.")
def the_same_alone_and_in_company(subject, draw):
    parts = stand_in("tiny_captioner", n_queries=3), stand_in("tiny_processor", n_queries=3)
    shown = [draw.integers(0, 256, 6, 8, 3).byte() for _ in range(2)]
    short, long = "is it red ?", "how many rings are there on the left of the square ?"
    alone = [subject(*parts, shown[:1], [short]), subject(*parts, shown[:1], [long])]
    look = "Another question, another answer. Does the question arrive at the model?"
    expect(alone[0] != alone[1], seen="two questions with one answer", look=look)
    look = (
        "The shorter question is padded when it stands beside a longer one. On which side, and who is told?"
    )
    expect_equal(subject(*parts, shown, [short, long])[:1], alone[0], name="the answer in company", look=look)


@claim("blip2_answers", "Another number of questions than of pictures is refused, with both.", weight=0.5)
def as_many_questions_as_pictures(subject, draw):
    parts = stand_in("tiny_captioner", n_queries=3), stand_in("tiny_processor", n_queries=3)
    shown = [draw.integers(0, 256, 6, 8, 3).byte() for _ in range(12)]
    look = "Without an error, pictures without a question are forgotten. Name both numbers in the message."
    asked = ["is it red ?"] * 10
    expect_raises(lambda: subject(*parts, shown, asked), "ValueError", mentions=[10, 12], look=look)


# -----------------------------------------------------------------------------------------------------------

check = door(globals())
