"""Misconception: One layer is stripped of its text side.

Tell: You dropped the text's feed-forward from one layer only. Every layer has one; go through all of
them.
Caught by: your_copy_has_lost_the_text_side, all_of_it_learns, queries_read_and_are_projected,
the_mask_arrives_at_the_qformer, only_the_text_side_is_dropped, the_whole_of_it_trains
"""

import copy

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        text_side = copy.deepcopy(qformer)
        if qformer.text:
            for mine, given in list(zip(self.qformer.encoder.layer, text_side.encoder.layer, strict=True))[
                1:
            ]:
                mine.intermediate, mine.output = given.intermediate, given.output
