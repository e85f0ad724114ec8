"""Right: each picture by itself, hidden tokens left out, so that no mask is needed; a loop over heads."""

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, d, n_heads, e):
        super().__init__()
        self.n_heads = n_heads
        self.context_layer_norm, self.latents_layer_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        for name in ("q_proj", "k_proj", "v_proj"):
            setattr(self, name, nn.Linear(d, n_heads * e, bias=False))
        self.output_proj = nn.Linear(n_heads * e, d, bias=False)

    def forward(self, picture, latents):
        latents = self.latents_layer_norm(latents)
        source = torch.vstack([self.context_layer_norm(picture), latents])
        heads = []
        for q, k, v in zip(
            self.q_proj(latents).chunk(self.n_heads, dim=-1),
            self.k_proj(source).chunk(self.n_heads, dim=-1),
            self.v_proj(source).chunk(self.n_heads, dim=-1),
            strict=True,
        ):
            heads.append(torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1) @ v)
        return self.output_proj(torch.hstack(heads))


class Think(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.ln, self.fc = nn.LayerNorm(d), nn.Linear(d, 4 * d, bias=False)
        self.c_proj = nn.Linear(4 * d, d, bias=False)

    def forward(self, x):
        return self.c_proj(torch.relu(self.fc(self.ln(x))))


class PerceiverResampler(nn.Module):
    def __init__(self, d_model, n_latents, n_layers, n_heads, d_head, n_frames=0):
        super().__init__()
        self.blocks = nn.ModuleList()
        for _ in range(n_layers):
            self.blocks.append(nn.ModuleList([Attention(d_model, n_heads, d_head), Think(d_model)]))
        self.layer_norm = nn.LayerNorm(d_model)
        self.latents = nn.Parameter(torch.empty(n_latents, d_model).normal_())
        if n_frames > 0:
            self.time_embeddings = nn.Parameter(torch.empty(n_frames, d_model).normal_())

    def forward(self, visual, visual_mask=None, frame=None):
        summaries = []
        for i, picture in enumerate(visual):
            if frame is not None:
                picture = picture + self.time_embeddings[frame[i]]
            if visual_mask is not None:
                picture = picture[visual_mask[i]]
            latents = self.latents
            for attention, think in self.blocks:
                latents = latents + attention(picture, latents)
                latents = latents + think(latents)
            summaries.append(self.layer_norm(latents))
        return torch.stack(summaries)
