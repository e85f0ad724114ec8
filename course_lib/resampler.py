"""Perceiver resampler: any number of visual tokens in, a fixed number out.

A language model should not pay for every patch of every image. The resampler keeps a few learned latents,
lets them read the visual tokens layer by layer, and hands on only the latents. There is no separate self-
attention: the latents stand among the keys and values too, so that they read the picture and each other at
once.

Axes in this file:
    b  images in the batch        v  visual tokens of one image, or of all frames of a film (any number)
    f  frames there is an embedding for
    q  latents (fixed)            s  what the latents read: v visual tokens, then q latents
    d  width of both streams      h  heads      e  width of one head

Parameter names and arithmetic are those of transformers' `IdeficsPerceiverResampler` (5.23) without its
optional norms of queries and keys; tests hold the two within 1e-5.

Source: Alayrac et al. 2022, Flamingo, arXiv:2204.14198, section 3.1.1.
Differs from it: the feed-forward is Idefics', with ReLU (the paper squares it) and without biases.
"""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import ShapeError


class LatentAttention(nn.Module):
    """The latents read the visual tokens and themselves."""

    def __init__(self, d_model: int, n_heads: int, d_head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.context_layer_norm = nn.LayerNorm(d_model)
        self.latents_layer_norm = nn.LayerNorm(d_model)
        self.q_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.output_proj = nn.Linear(n_heads * d_head, d_model, bias=False)

    def forward(
        self,
        visual: Float[Tensor, "b v d"],
        latents: Float[Tensor, "b q d"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b q d"]:
        latents = self.latents_layer_norm(latents)
        source = torch.cat([self.context_layer_norm(visual), latents], dim=1)  # b s d
        q, k, values = (
            rearrange(project(tokens), "b s (h e) -> b h s e", h=self.n_heads)
            for project, tokens in ((self.q_proj, latents), (self.k_proj, source), (self.v_proj, source))
        )
        keep = None
        if visual_mask is not None:
            # The latents always see themselves, so an image without a real token still gives finite output.
            own = visual_mask.new_ones(latents.shape[:2])
            keep = rearrange(torch.cat([visual_mask, own], dim=1), "b s -> b 1 1 s")
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=keep)
        mixed: Tensor = self.output_proj(rearrange(read, "b h q e -> b q (h e)"))
        return mixed


class FeedForward(nn.Module):
    """Two linear maps around a ReLU, four times as wide inside."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(d_model)
        self.fc = nn.Linear(d_model, 4 * d_model, bias=False)
        self.c_proj = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, latents: Float[Tensor, "b q d"]) -> Float[Tensor, "b q d"]:
        out: Tensor = self.c_proj(self.fc(self.ln(latents)).relu())
        return out


class PerceiverResampler(nn.Module):
    """Summarise any number of visual tokens in `n_latents` tokens.

    Args:
        d_model: width of a visual token, in and out.
        n_latents: tokens handed on for each image.
        n_layers: reads of the image, one after another.
        n_heads: attention heads.
        d_head: the width of one; n_heads * d_head need not be d_model. None takes d_model / n_heads.
        n_frames: how many moments of a film have a learned time embedding; 0 for pictures alone.

    Shapes:
        visual       float[b v d]
        visual_mask  bool[b v]      True = keep; None means all are kept
        frame        int[b v]       which frame each token is of, from 0; None adds no time embedding
        returns      float[b q d]   q == n_latents

    Raises:
        ShapeError: n_heads does not divide d_model and d_head is not given; a frame without an embedding.
    """

    def __init__(
        self,
        d_model: int,
        n_latents: int,
        n_layers: int,
        n_heads: int,
        d_head: int | None = None,
        n_frames: int = 0,
    ) -> None:
        super().__init__()
        if d_head is None:
            if n_heads < 1 or d_model % n_heads:
                raise ShapeError(
                    f"d_model={d_model} cannot be cut into n_heads={n_heads} equal heads; choose an n_heads "
                    f"that divides {d_model}, or give d_head."
                )
            d_head = d_model // n_heads
        self.latents = nn.Parameter(torch.randn(n_latents, d_model))
        self.blocks = nn.ModuleList(
            nn.ModuleList([LatentAttention(d_model, n_heads, d_head), FeedForward(d_model)])
            for _ in range(n_layers)
        )
        self.layer_norm = nn.LayerNorm(d_model)
        self.n_frames = n_frames
        if n_frames:
            self.time_embeddings = nn.Parameter(torch.randn(n_frames, d_model))

    def forward(
        self,
        visual: Float[Tensor, "b v d"],
        visual_mask: Bool[Tensor, "b v"] | None = None,
        frame: Int[Tensor, "b v"] | None = None,
    ) -> Float[Tensor, "b q d"]:
        if frame is not None:
            if frame.numel() and not 0 <= int(frame.min()) <= int(frame.max()) < self.n_frames:
                raise ShapeError(
                    f"frame runs from {int(frame.min())} to {int(frame.max())}, and there are embeddings "
                    f"for {self.n_frames}, counted from 0; give n_frames={int(frame.max()) + 1}."
                )
            visual = visual + self.time_embeddings[frame]
        latents = repeat(self.latents, "q d -> b q d", b=len(visual))
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            latents = latents + block[0](visual, latents, visual_mask)
            latents = latents + block[1](latents)
        out: Tensor = self.layer_norm(latents)
        return out
