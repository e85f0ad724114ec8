"""Misconception: Deleting the parts is enough; the copy need not say that they are gone.

Tell: Your copy has lost its side for text, and its `text` is still True. Whoever asks the Q-Former whether
it takes text is told yes. Set `text` to False in the copy.
Caught by: one_word_for_every_query, all_of_it_learns, queries_read_and_are_projected,
the_mask_arrives_at_the_qformer, stage_1_stays_as_it_was, the_whole_of_it_trains
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.qformer.text = qformer.text
