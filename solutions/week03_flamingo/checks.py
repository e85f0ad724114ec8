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

# (begin masked_cross_attention)
#
#
#
# (end masked_cross_attention)

# -- gated_block -----------------------------------------------------------------------------------------

# (begin gated_block)
#
#
#
# (end gated_block)

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


def reader_for(subject, draw, n_words, d_visual, unlikely):
    """A model with a cache, every parameter drawn anew; `unlikely` words are never the likeliest."""
    model = subject.build_stand_in("cached_reader", n_words=n_words, d_visual=d_visual)
    weights = draw.weights_like(model.parameters(), std=0.7)
    weights["says.bias"][list(unlikely)] = -60.0
    load_or_fail(model, weights)
    return model


@claim("generate", "Without pictures, each token is the likeliest after the whole row before it.", weight=0.5)
def each_token_is_the_likeliest(subject, draw):
    tag, end, ids = 1, 3, draw.integers(4, 23, 5)
    model, none = reader_for(subject, draw, 23, 7, (tag, end)), torch.zeros(0, 4, 7)
    written = subject(model, ids, none, tag, end, 6)
    look = "Return the new ids, as a list of plain numbers."
    expect(isinstance(written, list), seen=f"a {type(written).__name__}", look=look)
    expect(all(type(one) is int for one in written), seen="not all are plain numbers", look=look)
    expect(len(written) == 6, seen=f"{len(written)} tokens for n_new = 6", look="No end comes here.")
    row = torch.cat([ids, torch.tensor(written)])[None]
    logits, _ = model(row, none.reshape(1, 0, 7), torch.ones(1, 11, 0, dtype=torch.bool), None)
    wrong = [k for k, best in enumerate(logits[0, 4:-1].argmax(dim=1).tolist()) if best != written[k]]
    expect(
        not wrong,
        seen=f"{len(wrong)} of 6 are not, the first of them number {wrong[0] + 1 if wrong else 0}",
        look="The whole row was read once more, at once. Which position's logits say what comes next? Is "
        "the cache handed on from call to call, with the newest token alone?",
    )


@claim("generate", "Each token is read once, and each one behind a tag can see the picture.", weight=0.5)
def new_tokens_can_see_the_picture(subject, draw):
    tag, end = 2, 5
    ids = torch.cat([torch.tensor([tag]), draw.integers(6, 23, 4)])
    model = reader_for(subject, draw, 23, 7, (tag, end))
    subject(model, ids, draw.normal(1, 3, 7), tag, end, 4)
    record = model.report()["buffers"]
    expect(
        len(record["read"]) in (8, 9),
        seen=f"{len(record['read'])} tokens went through the model for a prompt of 5 and 4 written",
        look="The first call reads the prompt; each later one reads the newest token alone.",
    )
    blind = int((~record["kept"].all(dim=1)).sum())
    expect(
        not blind,
        seen=f"{blind} of {len(record['read'])} tokens could not see the whole picture before them",
        look="A mask is not in the cache. Which row of it belongs to a new token?",
    )


@claim("generate", "An empty prompt, and a picture without a tag, are a ValueError.", weight=0.5)
def what_cannot_be_read_is_refused(subject, draw):
    model = reader_for(subject, draw, 23, 7, (1, 3))
    ids = draw.integers(4, 23, 6)
    expect_raises(
        lambda: subject(model, ids[:0], torch.zeros(0, 3, 7), 1, 3, 2),
        "ValueError",
        look="There is no last position in an empty prompt.",
    )
    expect_raises(
        lambda: subject(model, ids, draw.normal(1, 3, 7), 1, 3, 2),
        "ValueError",
        mentions=[0, 1],
        look="0 tags and 1 picture: name both numbers.",
    )


# -- few_shot_prompt -------------------------------------------------------------------------------------


@claim("few_shot_prompt", "A solved example, then the open question: each behind its tag.", weight=0.5)
def an_example_stands_before_the_open_question(subject, draw):
    tag, end = 1, 3
    first, asked = draw.normal(4, 6), draw.normal(4, 6)
    question, answer, open_question = (draw.integers(5, 40, n) for n in (3, 2, 4))
    prompt = expect_keys(
        subject([(first, question, answer)], asked, open_question, tag, end),
        ("ids", "visual"),
        look="Return a dict with these two.",
    )
    signs = (torch.tensor([tag]), torch.tensor([end]))
    row = torch.cat([signs[0], question, answer, signs[1], signs[0], open_question])
    expect_same(
        prompt["ids"], row, look="Tag, question, answer, end; then tag and question. Nothing closes the last."
    )
    expect_same(
        prompt["visual"],
        torch.stack([first, asked]),
        look="One picture for each tag, in the order of the tags.",
    )


@claim("few_shot_prompt", "With no examples, the prompt is a tag and a question.", weight=0.5)
def no_examples_are_a_prompt_too(subject, draw):
    asked, question = draw.normal(4, 6), draw.integers(5, 40, 3)
    prompt = expect_keys(subject([], asked, question, 1, 3), ("ids", "visual"), look="A dict with these two.")
    expect_tensor(prompt["ids"], (4,), look="A tag, and three words of question.")
    expect_tensor(prompt["visual"], (1, 4, 6), look="One picture, in front of it an axis for pictures.")


@claim("few_shot_prompt", "An example without an answer is a ValueError.", weight=0.5)
def an_example_has_an_answer(subject, draw):
    picture, question = draw.normal(4, 6), draw.integers(5, 40, 3)
    expect_raises(
        lambda: subject([(picture, question, question[:0])], picture, question, 1, 3),
        "ValueError",
        mentions=[0],
        look="An example without an answer teaches the model to say nothing. Say how many ids there were.",
    )


# -----------------------------------------------------------------------------------------------------------

check = door(globals())
