"""Right: layers only hold weights, and one functional forward does it all, with an additive mask."""

import torch
import torch.nn.functional as F
from torch import nn


def norm(x, layer):
    return F.layer_norm(x, x.shape[-1:], layer.weight, layer.bias)


class PerceiverResampler(nn.Module):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        self.blocks = nn.ModuleList(
            nn.ModuleList([self.reading(d_model), self.thinking(d_model)]) for _ in range(n_layers)
        )
        if n_frames:
            self.time_embeddings = nn.Parameter(torch.zeros(n_frames, d_model).normal_())
        self.latents = nn.Parameter(nn.init.normal_(torch.empty(n_latents, d_model)))
        self.layer_norm = nn.LayerNorm(d_model)

    def reading(self, d):
        inner = self.n_heads * self.d_head
        parts = {"context_layer_norm": nn.LayerNorm(d), "latents_layer_norm": nn.LayerNorm(d)}
        parts |= {f"{x}_proj": nn.Linear(d, inner, bias=False) for x in "qkv"}
        return nn.ModuleDict({**parts, "output_proj": nn.Linear(inner, d, bias=False)})

    def thinking(self, d):
        up, down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)
        return nn.ModuleDict({"ln": nn.LayerNorm(d), "fc": up, "c_proj": down})

    def split(self, x):
        b, s, _ = x.shape
        return x.view(b, s, self.n_heads, self.d_head).transpose(1, 2)

    def forward(self, visual, visual_mask=None, frame=None):
        b, v, _ = visual.shape
        if frame is not None:
            one_hot = F.one_hot(frame, len(self.time_embeddings)).to(visual.dtype)
            visual = visual + one_hot @ self.time_embeddings
        bias = torch.zeros(b, 1, 1, v + len(self.latents))
        if visual_mask is not None:
            bias[..., :v] = torch.where(visual_mask, 0.0, -torch.inf)[:, None, None, :]
        x = torch.stack([self.latents] * b)
        for reading, thinking in self.blocks:
            asking = norm(x, reading["latents_layer_norm"])
            source = torch.cat((norm(visual, reading["context_layer_norm"]), asking), 1)
            k, values = F.linear(
                source, torch.cat([reading["k_proj"].weight, reading["v_proj"].weight])
            ).chunk(2, dim=-1)
            q = self.split(reading["q_proj"](asking)) / self.d_head**0.5
            shares = (q.matmul(self.split(k.contiguous()).transpose(2, 3)) + bias).softmax(-1)
            read = (
                shares.matmul(self.split(values.contiguous()))
                .transpose(1, 2)
                .reshape(b, len(self.latents), -1)
            )
            x = torch.add(x, F.linear(read, reading["output_proj"].weight))
            x = torch.add(x, thinking["c_proj"](F.relu(thinking["fc"](norm(x, thinking["ln"])))))
        return norm(x, self.layer_norm)
