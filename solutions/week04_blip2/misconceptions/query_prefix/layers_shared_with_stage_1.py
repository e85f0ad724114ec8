"""Misconception: A shallow copy is a copy.

Tell: Your copy is a new list around the old layers' parts: each weight is still stage 1's. Whoever
trains one trains the other. copy.deepcopy copies the weights, too.
Caught by: stage_1_stays_as_it_was
"""

from course_lib.blip2_stage2 import QueryPrefix as Reference


class QueryPrefix(Reference):
    def __init__(self, query_tokens, qformer, d_text):
        super().__init__(query_tokens, qformer, d_text)
        for mine, given in zip(self.qformer.encoder.layer, qformer.encoder.layer, strict=True):
            for name, part in given.named_children():
                if name in dict(mine.named_children()):
                    setattr(mine, name, part)
