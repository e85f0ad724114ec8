"""Misconception: The index may be of any type.

Tell: Your numbers are right, but they are floats. An index counts, and will be compared with whole numbers:
return int64.
Caught by: a_row_of_two_pictures_is_numbered, what_follows_an_end_reads_none, the_ids_are_left_as_they_were
"""

from course_lib.media import media_index as reference


def media_index(ids, image_id, end_id=None):
    return reference(ids, image_id, end_id).float()
