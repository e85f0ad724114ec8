"""Misconception: Each document numbers its pictures from 1.

Tell: Behind an end your count starts again at 1, so the second document reads the first one's pictures. All
pictures of a row lie in one line, and the number is the place in it.
Caught by: what_follows_an_end_reads_none, behind_the_end_nothing_is_read, the_sign_itself_still_reads,
the_count_goes_on_behind_an_end, an_end_is_what_end_id_says
"""

import torch


def media_index(ids, image_id, end_id=None):
    index = torch.zeros_like(ids)
    for row, tokens in enumerate(ids.tolist()):
        number = 0
        for place, token in enumerate(tokens):
            number += token == image_id
            index[row, place] = number
            if token == end_id:
                number = 0
    return index
