"""Misconception: Queries and text each attend among themselves.

Tell: You call the self-attention twice, once for each side, and nothing passes between them. They stand
in one self-attention, and the mask alone decides whether they hear each other.
Caught by: values_are_those_of_the_definition, only_queries_look, each_side_has_its_own_feed_forward,
who_may_see_is_who_is_moved, hidden_visual_tokens_reach_no_query, every_token_comes_out_normed,
everything_learns, queries_without_a_picture_are_an_error
"""

import torch
from einops import rearrange

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries and visual is None:
            raise ValueError(f"{n_queries} queries and no picture; give visual.")
        keep = None if visual_mask is None else rearrange(visual_mask, "b v -> b 1 v")
        if n_queries:
            seen = None if sees is None else sees[:, :n_queries, :n_queries]
            queries = self.attention(queries, queries, seen)
        if text.shape[1]:
            seen = None if sees is None else sees[:, n_queries:, n_queries:]
            text = self.attention(text, text, seen)
        if self.looks and n_queries:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
