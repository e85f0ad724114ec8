"""Misconception: A feed-forward of nothing is nothing, so one may as well call it.

Tell: Where there is no text, you call its feed-forward on a row of length 0. The result is right as long as
the feed-forward is there. Stage 2 throws it away and runs queries alone; then the call fails.
Caught by: no_text_no_feed_forward_for_text
"""

import torch
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries:
            if visual is None:
                raise ValueError(f"{n_queries} queries and no picture; give visual.")
            keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
