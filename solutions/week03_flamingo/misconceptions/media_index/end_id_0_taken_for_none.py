"""Misconception: `if end_id` asks whether an end was given.

Tell: You ask `if end_id`, and 0 counts as false: a sign whose id is 0 is ignored. Ask `if end_id is not
None`.
Caught by: an_end_is_what_end_id_says
"""

from course_lib.media import media_index as reference


def media_index(ids, image_id, end_id=None):
    return reference(ids, image_id, end_id or None)
