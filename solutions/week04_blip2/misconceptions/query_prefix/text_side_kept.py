"""Misconception: The Q-Former is taken over as it is, text side included.

Tell: Your copy still has the feed-forwards for text. No text enters the Q-Former in stage 2, so they
would only take room and never get a gradient: at full size, 56.7 million numbers.
Caught by: your_copy_has_lost_the_text_side, all_of_it_learns, queries_read_and_are_projected,
the_mask_arrives_at_the_qformer, only_the_text_side_is_dropped, the_whole_of_it_trains
"""

import copy

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.qformer = copy.deepcopy(qformer)
