"""Right: picture and latents are never joined. Two tables of scores meet in one softmax, by einsum."""

import torch
from torch import einsum, nn


class Layer(nn.Module):
    def __init__(self, d, h, e):
        super().__init__()
        self.h, self.e = h, e
        self.context_layer_norm = nn.LayerNorm(d)
        self.latents_layer_norm = nn.LayerNorm(d)
        self.q_proj = nn.Linear(d, h * e, bias=False)
        self.k_proj = nn.Linear(d, h * e, bias=False)
        self.v_proj = nn.Linear(d, h * e, bias=False)
        self.output_proj = nn.Linear(h * e, d, bias=False)

    def cut(self, x):
        return x.unflatten(-1, (self.h, self.e))

    def forward(self, visual, latents, hidden):
        visual, latents = self.context_layer_norm(visual), self.latents_layer_norm(latents)
        q = self.cut(self.q_proj(latents))
        to_picture = einsum("bqhe,bvhe->bqhv", q, self.cut(self.k_proj(visual))) * self.e**-0.5
        to_latents = einsum("bqhe,bkhe->bqhk", q, self.cut(self.k_proj(latents))) * self.e**-0.5
        if hidden is not None:
            to_picture = to_picture.masked_fill(hidden[:, None, None, :], float("-inf"))
        v = visual.shape[1]
        shares = torch.cat([to_picture, to_latents], dim=-1).softmax(dim=-1)
        read = einsum("bqhv,bvhe->bqhe", shares[..., :v], self.cut(self.v_proj(visual)))
        read = read + einsum("bqhk,bkhe->bqhe", shares[..., v:], self.cut(self.v_proj(latents)))
        return self.output_proj(read.flatten(-2))


class PerceiverResampler(nn.Module):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(n_latents, d_model))
        self.time_embeddings = nn.Parameter(torch.randn(n_frames, d_model)) if n_frames else None
        self.blocks = nn.ModuleList()
        for _ in range(n_layers):
            thinking = nn.ModuleDict(
                {
                    "ln": nn.LayerNorm(d_model),
                    "fc": nn.Linear(d_model, 4 * d_model, bias=False),
                    "c_proj": nn.Linear(4 * d_model, d_model, bias=False),
                }
            )
            self.blocks.append(nn.ModuleList([Layer(d_model, n_heads, d_head), thinking]))
        self.layer_norm = nn.LayerNorm(d_model)

    def forward(self, visual, visual_mask=None, frame=None):
        x = self.latents.unsqueeze(0).expand(visual.shape[0], -1, -1)
        if frame is not None:
            visual = visual + nn.functional.embedding(frame, self.time_embeddings)
        hidden = None if visual_mask is None else visual_mask.logical_not()
        for layer, thinking in self.blocks:
            x = x + layer(visual, x, hidden)
            x = x + thinking["c_proj"](thinking["fc"](thinking["ln"](x)).clamp(min=0))
        return self.layer_norm(x)
