"""Right: torch's own multi-head attention does the reading, with the parts' weights."""

import torch
import torch.nn.functional as F

from course_lib.blip2_qformer import QFormerLayer as Reference


def read(part, asking, source, hidden):
    names = part.attention.query, part.attention.key, part.attention.value
    out, _ = F.multi_head_attention_forward(
        asking.transpose(0, 1),
        source.transpose(0, 1),
        source.transpose(0, 1),
        asking.shape[-1],
        part.n_heads,
        None,
        torch.cat([one.bias for one in names]),
        None,
        None,
        False,
        0.0,
        part.output.dense.weight,
        part.output.dense.bias,
        training=False,
        need_weights=False,
        attn_mask=None if hidden is None else hidden.repeat_interleave(part.n_heads, dim=0),
        use_separate_proj_weight=True,
        q_proj_weight=names[0].weight,
        k_proj_weight=names[1].weight,
        v_proj_weight=names[2].weight,
    )
    return part.output.LayerNorm(out.transpose(0, 1) + asking)


class QFormerLayer(Reference):
    def forward(self, tokens, n_queries, sees=None, visual=None, visual_mask=None):
        x = read(self.attention, tokens, tokens, None if sees is None else ~sees)
        done = []
        if n_queries:
            queries = x[:, :n_queries]
            if self.looks:
                if visual is None:
                    raise ValueError(f"visual is None, and {n_queries} queries want to look.")
                hidden = None
                if visual_mask is not None:
                    hidden = ~visual_mask[:, None].expand(-1, n_queries, -1)
                queries = read(self.crossattention, queries, visual, hidden)
            done.append(self.output_query(self.intermediate_query(queries), queries))
        if n_queries < x.shape[1]:
            done.append(self.output(self.intermediate(x[:, n_queries:]), x[:, n_queries:]))
        return torch.cat(done, dim=1)
