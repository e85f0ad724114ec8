"""Misconception: Without a picture there is just nothing to read.

Tell: Queries that should look and get no picture pass in silence. A forgotten argument would train a
blind Q-Former; raise a ValueError that says how many queries there are.
Caught by: queries_without_a_picture_are_refused, queries_without_a_picture_are_an_error
"""

import torch
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
        if self.looks and n_queries and visual is not None:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
