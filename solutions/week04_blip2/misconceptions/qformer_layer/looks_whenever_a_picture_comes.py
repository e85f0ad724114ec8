"""Misconception: A layer looks if it is given a picture.

Tell: Your layer asks whether there is a picture, and not whether it can look. Every second layer has no
cross-attention, and is given the picture all the same.
Caught by: a_layer_keeps_its_shape, values_are_those_of_the_definition, either_side_may_be_missing,
only_queries_look, every_token_comes_out_normed
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
        if visual is not None and n_queries:
            queries = self.crossattention(queries, visual, keep)
        queries = self.output_query(self.intermediate_query(queries), queries)
        if text.shape[1]:
            text = self.output(self.intermediate(text), text)
        return torch.cat([queries, text], dim=1)
