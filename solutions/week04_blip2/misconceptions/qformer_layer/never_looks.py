"""Misconception: The picture is in the queries from the start.

Tell: Your layer never reads the picture. Queries start as the same learned numbers for every picture: all
they know of it comes through the cross-attention.
Caught by: another_picture_moves_the_queries, a_hidden_patch_changes_nothing,
nothing_is_added_behind_a_norm, values_are_those_of_the_definition, either_side_may_be_missing,
only_queries_look, each_side_has_its_own_feed_forward, hidden_visual_tokens_reach_no_query,
every_token_comes_out_normed, everything_learns, queries_without_a_picture_are_an_error
"""

import torch

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        tokens = self.attention(tokens, tokens, sees)
        queries, text = tokens[:, :n_queries], tokens[:, n_queries:]
        if self.looks and n_queries and visual is None:
            raise ValueError(f"{n_queries} queries and no picture; give visual.")
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
