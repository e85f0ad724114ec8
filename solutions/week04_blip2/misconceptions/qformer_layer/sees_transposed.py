"""Misconception: Rows and columns of sees are the same thing.

Tell: You transpose sees. Rows are those who look, columns those who are looked at. For text that is
written word by word this turns the future into the past.
Caught by: values_are_those_of_the_definition, who_may_see_is_who_is_moved, everything_learns
"""

import torch
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, None if sees is None else sees.mT)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries and visual is None:
            raise ValueError(f"{n_queries} queries and no picture; give visual.")
        keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
        if self.looks and n_queries:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
