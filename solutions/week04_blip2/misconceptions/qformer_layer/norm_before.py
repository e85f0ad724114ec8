"""Misconception: Each part norms what comes in, as newer transformers do.

Tell: You norm before each part and leave the sum as it is. This stack comes from BERT, which adds first
and norms the sum. Both train; only one loads the weights.
Caught by: nothing_is_added_behind_a_norm, values_are_those_of_the_definition, either_side_may_be_missing,
only_queries_look, each_side_has_its_own_feed_forward, who_may_see_is_who_is_moved,
hidden_visual_tokens_reach_no_query, every_token_comes_out_normed, everything_learns,
queries_without_a_picture_are_an_error
"""

import torch
import torch.nn.functional as F
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


def attend(part, asking, source, keep):
    normed = part.output.LayerNorm(asking)
    projected = (
        part.attention.query(normed),
        part.attention.key(normed if source is asking else source),
        part.attention.value(normed if source is asking else source),
    )
    q, k, values = (rearrange(x, "b s (h e) -> b h s e", h=part.n_heads) for x in projected)
    mask = None if keep is None else keep[:, None]
    read = F.scaled_dot_product_attention(q, k, values, attn_mask=mask)
    return asking + part.output.dense(rearrange(read, "b h s e -> b s (h e)"))


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = attend(self.attention, tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries:
            if visual is None:
                raise ValueError(f"{n_queries} queries and no picture; give visual.")
            keep = None if visual_mask is None else visual_mask[:, None]
            queries = attend(self.crossattention, queries, visual, keep)
        wide = self.intermediate_query(self.output_query.LayerNorm(queries))
        queries = queries + self.output_query.dense(wide)
        if text.shape[1]:
            text = text + self.output.dense(self.intermediate(self.output.LayerNorm(text)))
        return torch.cat([queries, text], dim=1)
