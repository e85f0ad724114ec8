"""Misconception: The projection has no bias.

Tell: Your projection has no bias. A real checkpoint of BLIP-2 brings language_projection.bias along.
Caught by: queries_read_and_are_projected, the_mask_arrives_at_the_qformer, only_the_text_side_is_dropped,
nothing_to_drop_is_fine, the_whole_of_it_trains
"""

from torch import nn

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        self.language_projection = nn.Linear(query_tokens.shape[2], d_text, bias=False)
