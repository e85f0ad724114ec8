"""Misconception: Every Q-Former has a text side.

Tell: You delete the text's feed-forwards without looking whether they are there. A Q-Former that was
built with text=False has none, and may come to stage 2 all the same.
Caught by: nothing_to_drop_is_fine
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        if not qformer.text:
            for layer in self.qformer.encoder.layer:
                del layer.intermediate, layer.output
