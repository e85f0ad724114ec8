"""Misconception: The end of a document changes nothing.

Tell: You take end_id and do nothing with it: text of the next document goes on reading the last one's
picture, which has nothing to do with it.
Caught by: what_follows_an_end_reads_none, behind_the_end_nothing_is_read, the_sign_itself_still_reads,
an_end_is_what_end_id_says
"""


def media_index(ids, image_id, end_id=None):
    return (ids == image_id).long().cumsum(dim=1)
