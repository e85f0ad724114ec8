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
    expect_finite,
    expect_keys,
    expect_raises,
    expect_same,
    expect_tensor,
    load_or_fail,
    stand_in,
)

# -- qformer_layer ---------------------------------------------------------------------------------------

# (begin qformer_layer)
#
#
#
# (end qformer_layer)

# -- qformer_mask ----------------------------------------------------------------------------------------

# (begin qformer_mask)
#
#
#
# (end qformer_mask)

# -- itc_loss --------------------------------------------------------------------------------------------

# (begin itc_loss)
#
#
#
# (end itc_loss)

# -- sample_negatives ------------------------------------------------------------------------------------

# (begin sample_negatives)
#
#
#
# (end sample_negatives)

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

# (begin query_similarity)
#
#
#
# (end query_similarity)

# -- query_prefix ----------------------------------------------------------------------------------------

# (begin query_prefix)
#
#
#
# (end query_prefix)

# -- blip2_answers ---------------------------------------------------------------------------------------

# (begin blip2_answers)
#
#
#
# (end blip2_answers)

# -----------------------------------------------------------------------------------------------------------

check = door(globals())
