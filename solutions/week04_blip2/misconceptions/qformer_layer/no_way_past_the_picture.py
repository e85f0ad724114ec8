"""Misconception: What was read takes the place of the query.

Tell: Your queries become what they read, and forget what they were: the look at the picture is not
added. A query that finds nothing would be nobody.
Caught by: values_are_those_of_the_definition, either_side_may_be_missing, only_queries_look,
each_side_has_its_own_feed_forward, hidden_visual_tokens_reach_no_query, every_token_comes_out_normed,
everything_learns, queries_without_a_picture_are_an_error
"""

import torch
import torch.nn.functional as F
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries:
            if visual is None:
                raise ValueError(f"{n_queries} queries and no picture; give visual.")
            cross = self.crossattention
            asked, k, values = (
                rearrange(x, "b s (h e) -> b h s e", h=cross.n_heads)
                for x in (
                    cross.attention.query(queries),
                    cross.attention.key(visual),
                    cross.attention.value(visual),
                )
            )
            keep = None if visual_mask is None else visual_mask[:, None, None]
            read = F.scaled_dot_product_attention(asked, k, values, attn_mask=keep)
            read = rearrange(read, "b h s e -> b s (h e)")
            queries = cross.output(read, torch.zeros_like(queries))
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
