"""Misconception: Rows of different length come back as a list.

Tell: embeds is a list of rows of different length. A model runs on one tensor: pad the rows on the
right with zeros.
Caught by: a_picture_stands_where_its_placeholder_stood, rows_become_one_rectangle,
words_and_visual_tokens_stand_in_order, each_picture_goes_to_its_own_placeholder,
keep_tells_padding_from_the_rest, a_row_is_the_same_alone, the_placeholder_is_never_looked_up,
pictures_may_stand_anywhere, gradients_arrive_at_pictures_and_words, what_it_was_given_stays_as_it_was,
a_wrong_number_of_pictures_is_an_error
"""

from course_lib.image_tokens import merge_image_tokens as reference


def merge_image_tokens(input_ids, labels, features, embedding, image_id):
    merged = reference(input_ids, labels, features, embedding, image_id)
    return {
        **merged,
        "embeds": [row[keep] for row, keep in zip(merged["embeds"], merged["keep"], strict=True)],
    }
