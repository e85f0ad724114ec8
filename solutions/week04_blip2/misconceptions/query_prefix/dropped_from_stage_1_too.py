"""Misconception: The text side is deleted from the Q-Former that was given.

Tell: You deleted the text's feed-forwards from the Q-Former you were given, and kept that one. Stage 1
has lost its text side, and from now on both hold the same numbers. Copy first, then delete.
Caught by: your_copy_has_lost_the_text_side, stage_1_stays_as_it_was
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        for layer in qformer.encoder.layer:
            if qformer.text:
                del layer.intermediate, layer.output
        qformer.text = False
        self.qformer = qformer
