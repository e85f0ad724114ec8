"""Right: where both sides are there, every token takes both ways, and its place decides what it keeps."""

import torch

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        if n_queries and self.looks and visual is None:
            raise ValueError(f"{n_queries} queries in a layer that looks, and visual is None; give visual.")
        x = self.attention(tokens, tokens, sees)
        is_query = (torch.arange(x.shape[1]) < n_queries)[None, :, None]
        if self.looks and n_queries:
            keep = torch.ones(visual.shape[:2], dtype=torch.bool) if visual_mask is None else visual_mask
            x = torch.where(is_query, self.crossattention(x, visual, keep[:, None, :]), x)
        as_query = self.output_query(self.intermediate_query(x), x)
        if n_queries == x.shape[1]:
            return as_query
        as_text = self.output(self.intermediate(x), x)
        return torch.where(is_query, as_query, as_text)
