"""Misconception: A layer that looks always has to be given a picture.

Tell: Your layer refuses text without a picture. With n_queries=0 nobody looks; that is how a text is
encoded on its own.
Caught by: either_side_may_be_missing
"""

import torch
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and visual is None:
            raise ValueError(f"{n_queries} queries and no picture; give visual.")
        keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
        if self.looks and n_queries:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
