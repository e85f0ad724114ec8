"""Misconception: Each side has a feed-forward, and the names do not matter.

Tell: Your two feed-forwards are the right two, for the wrong sides: queries go through intermediate,
text through intermediate_query.
Caught by: each_side_goes_through_its_own, nothing_is_added_behind_a_norm, no_text_no_feed_forward_for_text,
values_are_those_of_the_definition, either_side_may_be_missing, only_queries_look,
each_side_has_its_own_feed_forward, who_may_see_is_who_is_moved, hidden_visual_tokens_reach_no_query,
every_token_comes_out_normed, everything_learns, queries_without_a_picture_are_an_error
"""

import torch
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries and visual is None:
            raise ValueError(f"{n_queries} queries and no picture; give visual.")
        keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
        if self.looks and n_queries:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output(self.intermediate(queries), queries)
        text = self.output_query(self.intermediate_query(text), text)
        return torch.cat([queries, text], dim=1)
