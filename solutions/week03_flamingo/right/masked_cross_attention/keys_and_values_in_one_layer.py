"""Right: keys and values from one fused layer, einsum, and the softmax written out by hand."""

import torch
from torch import einsum, nn


class MaskedCrossAttention(nn.Module):
    def __init__(self, d_text: int, d_visual: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_text, n_heads * d_head, bias=False)
        self.kv_proj = nn.Linear(d_visual, 2 * n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_text, bias=False)
        self.register_load_state_dict_pre_hook(self._fuse)

    @staticmethod
    def _fuse(module, state, prefix, *rest):
        if prefix + "k_proj.weight" in state:
            pair = [state.pop(prefix + name) for name in ("k_proj.weight", "v_proj.weight")]
            state[prefix + "kv_proj.weight"] = torch.cat(pair)

    def forward(self, text, visual, media_mask=None):
        q = self.q_proj(text).unflatten(-1, (self.n_heads, -1))
        k, values = self.kv_proj(visual).unflatten(-1, (2, self.n_heads, -1)).unbind(2)
        scores = einsum("bthe,bshe->bhts", q, k) / q.shape[-1] ** 0.5
        keep = torch.ones_like(scores) if media_mask is None else media_mask[:, None].to(scores.dtype)
        scores = scores - 1e30 * (1 - keep)
        # Hidden tokens get no weight, and a token that keeps nothing is 0 / 0.5.
        raised = (scores - scores.amax(dim=-1, keepdim=True).detach()).exp() * keep
        weights = raised / raised.sum(dim=-1, keepdim=True).clamp(min=0.5)
        return self.o_proj(einsum("bhts,bshe->bthe", weights, values).flatten(2))
