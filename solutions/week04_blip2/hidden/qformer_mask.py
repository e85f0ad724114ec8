"""Hidden checks of qformer_mask. Masks say True = keep: the token in the row may see the token in the column.

The table is compared entry by entry, and then it is put to work: a small Q-Former of ours, with drawn
weights and in double precision, runs under it, some tokens are changed, and we look at who moved. What must
not move must not move at all; what must move has to, by far more than rounding.

What a padded token sees besides itself is nobody's business, so no check asks.

Axes in this file:
    b  pairs      q  queries      t  text tokens      s  queries, then text      d  width
"""

import torch

from course_lib.blip2_masks import qformer_mask
from course_lib.blip2_qformer import QFormer
from course_lib.checking import claim, expect, expect_finite, expect_raises, expect_same, expect_tensor

REFERENCE = qformer_mask

TASKS = ("contrast", "match", "write")
SHAPE = "Queries and text stand in one row, queries first: bool[b s s], with s = queries + text tokens."
B, Q, T, D, V, D_VISUAL = 3, 4, 6, 12, 5, 10
STILL, MOVED = 1e-9, 1e-6  # in double precision; over 300 seeds the reference gives 0.0, and 1e-4 or more
QUERIES, TEXT = slice(0, Q), slice(Q, None)


def all_real(b=B, t=T):
    return torch.ones(b, t, dtype=torch.bool)


def lengths(draw, b=B, t=T):
    """bool[b t]: texts of different lengths, filled up at the end; one is full, the others are shorter."""
    long = draw.integers(1, t, b)
    long[draw.integer(0, b)] = t
    return torch.arange(t) < long[:, None]


def gaps(draw, b=B, t=T):
    """bool[b t]: the first token is real, and what is not may lie anywhere."""
    keep = draw.keep_mask(b, t)
    keep[:, 0] = True
    keep[draw.integer(0, b), draw.integer(1, t)] = False
    return keep


def asked(subject, task, n_queries, keep):
    b, t = keep.shape
    s = n_queries + t
    return expect_tensor(subject(task, n_queries, keep), (b, s, s), look=SHAPE) != 0


def stacks(draw):
    """A Q-Former of three layers, two of which look at the picture; its first layer alone; a picture.

    What must not move is looked for behind three layers, where a leak has had time to go round. What must
    move is looked for behind one, where no detour can stand in for an entry that is missing.
    """
    deep, near = (QFormer(D, D_VISUAL, n, n_heads=3, d_hidden=20, dropout=0.0).eval() for n in (3, 1))
    weights = draw.weights_like(dict(deep.named_parameters()))
    deep.load_state_dict(weights)
    near.load_state_dict({name: weights[name] for name in near.state_dict()})
    return (deep.double(), near.double()), draw.normal(B, V, D_VISUAL).double()


def measured(subject, draw, task, keep, built=None):
    """A function from the tokens to change to how far each token moves: (far, near), float[b s] each."""
    models, visual = built or stacks(draw)
    sees, tokens = asked(subject, task, Q, keep), draw.normal(B, Q + keep.shape[1], D).double()
    with torch.no_grad():
        before = [model(tokens, Q, sees, visual) for model in models]

    def change(which):
        """`which` is a slice of the places, or bool[b s]."""
        changed = torch.zeros(tokens.shape[:2], dtype=torch.bool)
        changed[which if isinstance(which, torch.Tensor) else (slice(None), which)] = True
        other = torch.where(changed[..., None], draw.normal(*tokens.shape).double(), tokens)
        with torch.no_grad():
            after = [model(other, Q, sees, visual) for model in models]
        return [(new - old).abs().amax(dim=-1) for new, old in zip(after, before, strict=True)]

    return change


def expect_still(move, who, look):
    expect(bool((move <= STILL).all()), seen=f"{who} move, by up to {float(move.max()):.2g}", look=look)


def expect_moved(move, who, look):
    stuck = int((move <= MOVED).sum())
    expect(stuck == 0, seen=f"{stuck} of {move.numel()} {who} do not move at all", look=look)


@claim(
    "qformer_mask",
    "For each task, each real token sees those tokens that the task lets it see, and no others.",
    weight=2,
)
def each_task_has_its_own_table(subject, reference, draw):
    looks = {
        "contrast": "contrast: two encoders side by side. Does anything of one half show in the other's?",
        "match": "match: a pair is looked at as a whole. Is there any real token that somebody may not see?",
        "write": "write: ask it of the four quarters, one at a time. Queries on queries, queries on text, "
        "text on queries, text on text: which is full, which is empty, which is a triangle?",
    }
    for b, q, t in ((3, 4, 6), (2, 7, 3)):
        for keep in (all_real(b, t), lengths(draw, b, t), gaps(draw, b, t)):
            real = torch.cat([keep.new_ones(b, q), keep], dim=1)
            for task in TASKS:
                expect_same(
                    asked(subject, task, q, keep)[real], reference(task, q, keep)[real], look=looks[task]
                )


@claim("qformer_mask", "Under contrast, a change of the text moves no query, and one of the queries no text.")
def in_contrast_the_halves_do_not_hear_each_other(subject, reference, draw):
    change = measured(subject, draw, "contrast", all_real())
    look = "A picture that has read its text finds it at once, and nothing is learned. Who sees whom?"
    expect_still(change(TEXT)[0][:, QUERIES], "when the text is changed, queries", look)
    expect_still(change(QUERIES)[0][:, TEXT], "when the queries are changed, text tokens", look)
    first, last = change(slice(0, 1))[1], change(slice(-1, None))[1]
    expect_moved(first[:, QUERIES], "queries, when the first is changed,", "Do queries see each other?")
    expect_moved(last[:, TEXT], "text tokens, when the last is changed,", "An encoder reads both ways.")


@claim("qformer_mask", "Under match, a change of any one token moves every other.")
def in_match_everybody_hears_everybody(subject, reference, draw):
    change = measured(subject, draw, "match", all_real())
    for place in (0, Q - 1, Q, Q + T - 1):
        name = f"query {place + 1}" if place < Q else f"text token {place - Q + 1}"
        expect_moved(
            change(slice(place, place + 1))[1],
            f"tokens, when {name} is changed,",
            "Whether a text fits a picture is asked of both at once, and nobody writes anything. Who is "
            "kept from seeing whom, and why?",
        )


@claim(
    "qformer_mask",
    "Under write, every text token hears every query, every query every other, and no query the text.",
)
def in_write_the_text_hears_the_queries_and_not_the_other_way(subject, reference, draw):
    change = measured(subject, draw, "write", all_real())
    expect_still(
        change(TEXT)[0][:, QUERIES],
        "when the text is changed, queries",
        "A query that has seen the text can hand the next word to the word before it. Who may see the text?",
    )
    for place in (0, Q - 1):
        expect_moved(
            change(slice(place, place + 1))[1],
            f"tokens, when query {place + 1} of {Q} is changed,",
            "The text knows of the picture what the queries tell it. And queries have no order: is there a "
            "triangle where none belongs?",
        )


@claim("qformer_mask", "Under write, a change of one word moves it and those behind it, and none before it.")
def in_write_no_word_hears_a_later_one(subject, reference, draw):
    change = measured(subject, draw, "write", all_real())
    for word in (T - 1, draw.integer(1, T - 1), 0):
        far, near = (move[:, TEXT] for move in change(slice(Q + word, Q + word + 1)))
        if word:
            expect_still(
                far[:, :word],
                f"when word {word + 1} of {T} is changed, words before it",
                "A word that has seen the next one need not learn to write it. Which side of the diagonal is "
                "full?",
            )
        expect_moved(
            near[:, word:],
            f"words from word {word + 1} on, when it is changed,",
            "A word sees itself and all the words before it. Does yours?",
        )


@claim("qformer_mask", "What stands in the padding moves no query and no real token, whatever the task.")
def padding_is_heard_by_nobody(subject, reference, draw):
    look = (
        "True in text_keep is a real token. Which axis of the table is that: who looks, or who is looked at? "
        "And does each pair use its own row, behind its queries?"
    )
    built = stacks(draw)
    for task in TASKS:
        for keep in (lengths(draw), gaps(draw)):
            real = torch.cat([keep.new_ones(B, Q), keep], dim=1)
            change = measured(subject, draw, task, keep, built)
            dirty, clean = change(~real)[0], change(real)[1]
            expect_still(dirty[real], f"under {task!r}, when padding is changed, real tokens", look)
            expect_moved(clean[real], f"real tokens, when all of them are changed under {task!r},", look)


@claim("qformer_mask", "Every token sees itself, padding too: a text of nothing but padding stays finite.")
def no_row_is_empty(subject, reference, draw):
    keep = lengths(draw)
    keep[draw.integer(0, B)] = False
    for task in TASKS:
        sees = asked(subject, task, Q, keep)
        blind = int((~sees.diagonal(dim1=1, dim2=2)).sum())
        expect(
            blind == 0,
            seen=f"under {task!r}, {blind} of {B * (Q + T)} tokens do not see themselves",
            look="The diagonal is always True. Is it set after the padding is taken out, or before?",
        )
        scores = draw.normal(B, Q + T, Q + T).masked_fill(~sees, -torch.inf)
        expect_finite(scores.softmax(dim=-1), look="A softmax over a row without any True is 0 / 0.")


@claim("qformer_mask", "The table is boolean, and each pair of a batch has its own.", weight=0.5)
def the_table_is_boolean_and_each_pair_has_its_own(subject, reference, draw):
    keep = gaps(draw, 4, 5)
    keep[2, 3], keep[3, 3] = True, False
    for task in TASKS:
        seen = expect_tensor(subject(task, 3, keep), (4, 8, 8), look=SHAPE)
        expect(
            seen.dtype == torch.bool,
            seen=f"a table of type {seen.dtype}",
            look="torch's attention takes True = keep, or numbers to add to the scores: a table of ones and "
            "zeros would be added, and hide next to nothing.",
        )
        for row in range(4):
            expect_same(
                seen[row],
                expect_tensor(subject(task, 3, keep[row : row + 1]), (1, 8, 8), look=SHAPE)[0],
                look="A pair gives in a batch what it gives alone. Whose padding is it that you leave out?",
            )


@claim("qformer_mask", "A task that is none of the three is a ValueError that names it and the three.")
def a_task_that_is_not_there_is_refused(subject, reference, draw):
    keep = lengths(draw)
    for task in TASKS:
        asked(subject, task, Q, keep)
    for wrong in ("caption", "contrastive", "Match"):
        expect_raises(
            lambda wrong=wrong: subject(wrong, Q, keep),
            "ValueError",
            mentions=[wrong, *TASKS],
            look=f"There is no task {wrong!r}. Does your last branch take it for one? Say what was given, "
            "and what there is.",
        )
