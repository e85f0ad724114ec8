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

# (begin itm_loss)
#
#
#
# (end itm_loss)

# -- itg_loss --------------------------------------------------------------------------------------------

# (begin itg_loss)
#
#
#
# (end itg_loss)

# -- query_similarity ------------------------------------------------------------------------------------

# (begin query_similarity)
#
#
#
# (end query_similarity)

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
