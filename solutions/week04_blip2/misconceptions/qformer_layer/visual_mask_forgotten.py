"""Misconception: The picture's mask is used up before it comes here.

Tell: You take visual_mask and do not hand it to the cross-attention, so that padding is read like picture.
Caught by: a_hidden_patch_changes_nothing, hidden_visual_tokens_reach_no_query
"""

import torch

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries and visual is None:
            raise ValueError(f"{n_queries} queries and no picture; give visual.")
        keep = None
        if self.looks and n_queries:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
