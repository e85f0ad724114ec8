"""Misconception: The ids may be changed in place.

Tell: Your numbers are right, but you write them over the ids that were handed in. Whoever called you embeds
those ids next. Write into a new tensor.
Caught by: the_ids_are_left_as_they_were
"""

from course_lib.media import media_index as reference


def media_index(ids, image_id, end_id=None):
    return ids.copy_(reference(ids, image_id, end_id))
