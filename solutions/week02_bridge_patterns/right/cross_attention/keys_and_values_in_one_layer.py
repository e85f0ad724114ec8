"""Right: keys and values from one fused layer; a hook reads the checkpoint's two names."""

import torch
from torch import einsum, nn


class CrossAttention(nn.Module):
    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.kv_proj = nn.Linear(d_visual, 2 * n_heads * d_head, bias=False)
        self.out_proj = nn.Linear(n_heads * d_head, d_text)
        self.register_load_state_dict_pre_hook(self._fuse)

    @staticmethod
    def _fuse(module, state, prefix, *rest):
        if prefix + "k_proj.weight" in state:
            pair = [state.pop(prefix + name) for name in ("k_proj.weight", "v_proj.weight")]
            state[prefix + "kv_proj.weight"] = torch.cat(pair)

    def forward(self, text, visual, visual_mask=None):
        b, v, _ = visual.shape
        keep = torch.ones(b, v, dtype=torch.bool) if visual_mask is None else visual_mask
        q = self.q_proj(text).unflatten(-1, (self.n_heads, -1))
        k, values = self.kv_proj(visual).unflatten(-1, (2, self.n_heads, -1)).unbind(2)
        scores = einsum("bthe,bvhe->bhtv", q, k) / q.shape[-1] ** 0.5
        scores = torch.where(keep[:, None, None], scores, torch.tensor(-1e30))
        # The softmax by hand: hidden tokens get no weight, and a row of nothing is 0 / 0.5.
        raised = (scores - scores.amax(dim=-1, keepdim=True)).exp() * keep[:, None, None]
        weights = raised / raised.sum(dim=-1, keepdim=True).clamp(min=0.5)
        out = self.out_proj(einsum("bhtv,bvhe->bthe", weights, values).flatten(2))
        return out * keep.any(dim=1)[:, None, None]
