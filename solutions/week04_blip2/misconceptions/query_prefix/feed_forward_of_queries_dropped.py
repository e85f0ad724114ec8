"""Misconception: The wrong feed-forward is dropped.

Tell: You dropped intermediate_query and output_query, and kept the text's. It is the queries that go on
reading; text is what no longer comes.
Caught by: one_word_for_every_query, your_copy_has_lost_the_text_side, all_of_it_learns,
queries_read_and_are_projected, the_mask_arrives_at_the_qformer, only_the_text_side_is_dropped,
stage_1_stays_as_it_was, the_whole_of_it_trains
"""

import copy

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        if qformer.text:
            self.qformer = copy.deepcopy(qformer)
            for layer in self.qformer.encoder.layer:
                del layer.intermediate_query, layer.output_query
