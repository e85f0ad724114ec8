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


@claim("media_index", "t I t t I t reads 0 1 1 1 2 2, and a row without a tag reads none.", weight=0.5)
def a_row_of_two_pictures_is_numbered(subject, draw):
    image_id = draw.integer(1, 9)
    ids = draw.integers(10, 90, 2, 6)
    ids[0, 1] = ids[0, 4] = image_id
    expect_same(
        subject(ids, image_id),
        torch.tensor([[0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0]]),
        look="Walk along the row with a counter. When does it go up: at the tag, or behind it? And does the "
        "second row begin at 0 again?",
    )


@claim("media_index", "t I E t I E with E as end_id reads 0 1 1 0 2 2.", weight=0.5)
def what_follows_an_end_reads_none(subject, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    ids = draw.integers(10, 90, 1, 6)
    ids[0, [1, 4]], ids[0, [2, 5]] = image_id, end_id
    expect_same(
        subject(ids, image_id, end_id),
        torch.tensor([[0, 1, 1, 0, 2, 2]]),
        look="The sign still reads its document's picture; what follows it reads none, up to the next tag. "
        "Does the count go on there?",
    )


# -- media_mask ------------------------------------------------------------------------------------------

# (begin perceiver_resampler)
#
#
#
# (end perceiver_resampler)

# -- media_index -----------------------------------------------------------------------------------------


@claim("media_index", "t I t t I t reads 0 1 1 1 2 2, and a row without a tag reads none.", weight=0.5)
def a_row_of_two_pictures_is_numbered(subject, draw):
    image_id = draw.integer(1, 9)
    ids = draw.integers(10, 90, 2, 6)
    ids[0, 1] = ids[0, 4] = image_id
    expect_same(
        subject(ids, image_id),
        torch.tensor([[0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0]]),
        look="Walk along the row with a counter. When does it go up: at the tag, or behind it? And does the "
        "second row begin at 0 again?",
    )


@claim("media_index", "t I E t I E with E as end_id reads 0 1 1 0 2 2.", weight=0.5)
def what_follows_an_end_reads_none(subject, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    ids = draw.integers(10, 90, 1, 6)
    ids[0, [1, 4]], ids[0, [2, 5]] = image_id, end_id
    expect_same(
        subject(ids, image_id, end_id),
        torch.tensor([[0, 1, 1, 0, 2, 2]]),
        look="The sign still reads its document's picture; what follows it reads none, up to the next tag. "
        "Does the count go on there?",
    )


# -- media_mask ------------------------------------------------------------------------------------------


@claim(
    "media_mask", "It is a boolean table: a row for each word, a column for each visual token.", weight=0.5
)
def the_media_mask_has_a_column_for_each_visual_token(subject, draw):
    index = draw.integers(0, 4, 2, 7)
    mask = expect_tensor(
        subject(index, torch.ones(2, 3, 5, dtype=torch.bool)),
        (2, 7, 15),
        look="3 pictures of 5 visual tokens are 15 columns, and 7 words are 7 rows.",
    )
    expect(mask.dtype == torch.bool, seen=f"a mask of type {mask.dtype}", look="True = keep: a boolean mask.")


@claim(
    "media_mask",
    "A word keeps the real visual tokens of its own picture, and a word of index 0 none.",
    weight=0.5,
)
def a_word_keeps_its_own_picture(subject, draw):
    index = torch.tensor([[0, 1, 2]])
    visual_mask = torch.tensor([[[True, True, True], [True, False, False]]])
    own = torch.zeros(1, 3, 6, dtype=torch.bool)
    own[0, 1, :3] = own[0, 2, 3] = True
    expect_same(
        subject(index, visual_mask),
        own,
        look="Two pictures of three visual tokens; of the second only the first token is real. Which picture "
        "has number 1, and which number says none?",
    )


# -- influence -------------------------------------------------------------------------------------------

# (begin perceiver_resampler)
#
#
#
# (end perceiver_resampler)

# -- media_index -----------------------------------------------------------------------------------------


@claim("media_index", "t I t t I t reads 0 1 1 1 2 2, and a row without a tag reads none.", weight=0.5)
def a_row_of_two_pictures_is_numbered(subject, draw):
    image_id = draw.integer(1, 9)
    ids = draw.integers(10, 90, 2, 6)
    ids[0, 1] = ids[0, 4] = image_id
    expect_same(
        subject(ids, image_id),
        torch.tensor([[0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0]]),
        look="Walk along the row with a counter. When does it go up: at the tag, or behind it? And does the "
        "second row begin at 0 again?",
    )


@claim("media_index", "t I E t I E with E as end_id reads 0 1 1 0 2 2.", weight=0.5)
def what_follows_an_end_reads_none(subject, draw):
    image_id, end_id = draw.integer(1, 9), draw.integer(90, 99)
    ids = draw.integers(10, 90, 1, 6)
    ids[0, [1, 4]], ids[0, [2, 5]] = image_id, end_id
    expect_same(
        subject(ids, image_id, end_id),
        torch.tensor([[0, 1, 1, 0, 2, 2]]),
        look="The sign still reads its document's picture; what follows it reads none, up to the next tag. "
        "Does the count go on there?",
    )


# -- media_mask ------------------------------------------------------------------------------------------


@claim(
    "media_mask", "It is a boolean table: a row for each word, a column for each visual token.", weight=0.5
)
def the_media_mask_has_a_column_for_each_visual_token(subject, draw):
    index = draw.integers(0, 4, 2, 7)
    mask = expect_tensor(
        subject(index, torch.ones(2, 3, 5, dtype=torch.bool)),
        (2, 7, 15),
        look="3 pictures of 5 visual tokens are 15 columns, and 7 words are 7 rows.",
    )
    expect(mask.dtype == torch.bool, seen=f"a mask of type {mask.dtype}", look="True = keep: a boolean mask.")


@claim(
    "media_mask",
    "A word keeps the real visual tokens of its own picture, and a word of index 0 none.",
    weight=0.5,
)
def a_word_keeps_its_own_picture(subject, draw):
    index = torch.tensor([[0, 1, 2]])
    visual_mask = torch.tensor([[[True, True, True], [True, False, False]]])
    own = torch.zeros(1, 3, 6, dtype=torch.bool)
    own[0, 1, :3] = own[0, 2, 3] = True
    expect_same(
        subject(index, visual_mask),
        own,
        look="Two pictures of three visual tokens; of the second only the first token is real. Which picture "
        "has number 1, and which number says none?",
    )


# -- influence -------------------------------------------------------------------------------------------


@claim("influence", "Each table says yes or no for each word and each picture.", weight=0.5)
def the_tables_have_a_column_for_each_picture(subject, draw):
    index = draw.integers(0, 4, 2, 7)
    found = expect_keys(subject(index, 3), ("reads", "reaches"), look="Return a dict with these two tables.")
    for key, table in found.items():
        expect_tensor(table, (2, 7, 3), look=f"{key}: 2 rows of 7 words and 3 pictures. bool[b t n].")
        expect(table.dtype == torch.bool, seen=f"{key} of type {table.dtype}", look="Yes or no: boolean.")


@claim(
    "influence",
    "Whatever a word reads reaches it, and nothing reaches a word in front of all pictures.",
    weight=0.5,
)
def what_is_read_reaches(subject, draw):
    index = torch.tensor([[0, 0, 1, 1, 2, 2, 2]])
    found = expect_keys(subject(index, 2), ("reads", "reaches"), look="Return a dict with these two tables.")
    reads, reaches = (expect_tensor(found[key], (1, 7, 2)).bool() for key in ("reads", "reaches"))
    look = "The block adds what a word reads to that very word. Is it among those that are reached?"
    expect(bool(reads.any()), seen="nobody reads anything", look="Index 1 reads the first picture.")
    expect(
        not bool((reads & ~reaches).any()), seen="a word reads a picture that does not reach it", look=look
    )
    look = "Those two words come before both pictures. From whom could they have heard of one?"
    expect(not bool(reaches[:, :2].any()), seen="a picture reaches a word in front of it", look=look)


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
