"""Right: pair by pair, and hidden visual tokens are taken out instead of masked."""

import torch

from course_lib.blip2_qformer import QFormerLayer as Reference


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        looks = self.looks and n_queries > 0
        if looks and visual is None:
            raise ValueError(f"There are {n_queries} queries and no picture to look at; pass visual.")
        rows = []
        for k in range(len(tokens)):
            row = tokens[k : k + 1]
            row = self.attention(row, row, None if sees is None else sees[k : k + 1])
            queries, text = list(row[:, :n_queries].unbind(1)), list(row[:, n_queries:].unbind(1))
            if looks:
                picture = visual[k] if visual_mask is None else visual[k][visual_mask[k]]
                queries = [self.crossattention(one[:, None], picture[None])[:, 0] for one in queries]
            queries = [
                self.output_query(self.intermediate_query(one[:, None]), one[:, None]) for one in queries
            ]
            text = [self.output(self.intermediate(one[:, None]), one[:, None]) for one in text]
            rows.append(torch.cat(queries + text, dim=1))
        return torch.cat(rows)
