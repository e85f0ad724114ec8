"""A small Llama: RMSNorm, rotary positions, SwiGLU, tied word embeddings. The course's frozen language model.

Parameter names and arithmetic are those of transformers' `LlamaForCausalLM` (5.23) with as many key heads
as query heads; tests hold the two within 1e-5. The embedding is also the output layer, so a checkpoint of
ours has no `lm_head.weight` (transformers builds it again from `tie_word_embeddings=True`).

Pictures can come in by either of two doors, and neither needs a change in this file:

    prefix   the model reads embeddings, not ids: put visual tokens where word embeddings would be
    layers   `before_layer(i, hidden)` may change the stream before layer i: gated cross-attention goes there

Axes in this file:
    b  batch    t  tokens of the stream    i j  a token that looks, a token looked at
    d  width    h  heads    e  width of one head    w  words of the vocabulary
    p  tokens of a shared prefix    n  blocks that share it    k  tokens of one block
    s  tokens so far: those in the cache, then those of the stream

Source: Touvron et al. 2023, LLaMA, arXiv:2302.13971; Su et al. 2021, RoFormer, arXiv:2104.09864.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib.errors import ShapeError


@dataclass(frozen=True)
class LanguageSizes:
    """The sizes of the decoder; the field names of transformers' config are in the comments."""

    n_words: int  # vocab_size
    d_model: int = 128  # hidden_size
    n_layers: int = 4  # num_hidden_layers
    n_heads: int = 4  # num_attention_heads and num_key_value_heads
    d_hidden: int = 344  # intermediate_size
    rope_base: float = 1000.0  # rope_parameters["rope_theta"]; no unit
    epsilon: float = 1e-6  # rms_norm_eps


class RMSNorm(nn.Module):
    """Divide a token by its root mean square; no mean is taken off."""

    def __init__(self, d_model: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.epsilon = epsilon

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        return self.weight * tokens * torch.rsqrt(tokens.pow(2).mean(-1, keepdim=True) + self.epsilon)


def rotation(positions: Int[Tensor, "b t"], d_head: int, base: float) -> Float[Tensor, "two b 1 t e"]:
    """Cosine and sine by which rotary positions turn queries and keys."""
    speed = base ** (-torch.arange(0, d_head, 2, device=positions.device).float() / d_head)
    angle = repeat(positions[:, :, None] * speed, "b t half -> b 1 t (two half)", two=2)
    return torch.stack([angle.cos(), angle.sin()])


def rotate(x: Float[Tensor, "b h t e"], turn: Float[Tensor, "two b 1 t e"]) -> Float[Tensor, "b h t e"]:
    """Turn each pair of channels (c, c + e/2) by the token's angle."""
    first, second = x.chunk(2, dim=-1)
    return x * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]


class LayerCache:
    """Keys and values of the tokens one layer has read, so that no later call has to read them again."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]

    def extended(
        self, keys: Float[Tensor, "b h t e"], values: Float[Tensor, "b h t e"]
    ) -> tuple[Float[Tensor, "b h s e"], Float[Tensor, "b h s e"]]:
        """Keep these too, and return all there are."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values


class SelfAttention(nn.Module):
    """Causal multi-head attention without biases."""

    def __init__(self, sizes: LanguageSizes) -> None:
        super().__init__()
        if sizes.d_model % (2 * sizes.n_heads):
            raise ShapeError(
                f"d_model={sizes.d_model} cannot be cut into n_heads={sizes.n_heads} heads of even width; "
                f"choose an n_heads that divides {sizes.d_model} / 2."
            )
        self.n_heads = sizes.n_heads
        self.q_proj = nn.Linear(sizes.d_model, sizes.d_model, bias=False)
        self.k_proj = nn.Linear(sizes.d_model, sizes.d_model, bias=False)
        self.v_proj = nn.Linear(sizes.d_model, sizes.d_model, bias=False)
        self.o_proj = nn.Linear(sizes.d_model, sizes.d_model, bias=False)

    def heads(self, x: Float[Tensor, "b t d"], project: nn.Module) -> Float[Tensor, "b h t e"]:
        cut: Tensor = rearrange(project(x), "b t (h e) -> b h t e", h=self.n_heads)
        return cut

    def looks(
        self,
        tokens: Float[Tensor, "b t d"],
        sees: Bool[Tensor, "b 1 t t"],
        turn: Float[Tensor, "two b 1 t e"],
    ) -> Float[Tensor, "b h t t"]:
        """Attention weights, for figures; each row sums to 1."""
        q, k = rotate(self.heads(tokens, self.q_proj), turn), rotate(self.heads(tokens, self.k_proj), turn)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights: Tensor = scores.masked_fill(~sees, float("-inf")).softmax(-1)
        return weights

    def forward(
        self,
        tokens: Float[Tensor, "b t d"],
        sees: Bool[Tensor, "b 1 t s"],
        turn: Float[Tensor, "two b 1 t e"],
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "b t d"]:
        q, k = rotate(self.heads(tokens, self.q_proj), turn), rotate(self.heads(tokens, self.k_proj), turn)
        values = self.heads(tokens, self.v_proj)
        if cache is not None:
            k, values = cache.extended(k, values)
        read = F.scaled_dot_product_attention(q, k, values, attn_mask=sees)
        mixed: Tensor = self.o_proj(rearrange(read, "b h t e -> b t (h e)"))
        return mixed


class SwiGLU(nn.Module):
    """A perceptron whose hidden units are gated by a second set of hidden units."""

    def __init__(self, sizes: LanguageSizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.d_model, sizes.d_hidden, bias=False)
        self.up_proj = nn.Linear(sizes.d_model, sizes.d_hidden, bias=False)
        self.down_proj = nn.Linear(sizes.d_hidden, sizes.d_model, bias=False)

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        hidden: Tensor = self.down_proj(F.silu(self.gate_proj(tokens)) * self.up_proj(tokens))
        return hidden


class DecoderLayer(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self, sizes: LanguageSizes) -> None:
        super().__init__()
        self.self_attn = SelfAttention(sizes)
        self.mlp = SwiGLU(sizes)
        self.input_layernorm = RMSNorm(sizes.d_model, sizes.epsilon)
        self.post_attention_layernorm = RMSNorm(sizes.d_model, sizes.epsilon)

    def looks(
        self,
        tokens: Float[Tensor, "b t d"],
        sees: Bool[Tensor, "b 1 t t"],
        turn: Float[Tensor, "two b 1 t e"],
    ) -> Float[Tensor, "b h t t"]:
        """Where this layer's tokens look, before it changes them."""
        return self.self_attn.looks(self.input_layernorm(tokens), sees, turn)

    def forward(
        self,
        tokens: Float[Tensor, "b t d"],
        sees: Bool[Tensor, "b 1 t s"],
        turn: Float[Tensor, "two b 1 t e"],
        cache: LayerCache | None = None,
        looks: list[Tensor] | None = None,
    ) -> Float[Tensor, "b t d"]:
        if looks is not None:  # in here, where a hook before the layer has already changed the tokens
            looks.append(self.looks(tokens, sees, turn))
        tokens = tokens + self.self_attn(self.input_layernorm(tokens), sees, turn, cache)
        return tokens + self.mlp(self.post_attention_layernorm(tokens))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding, layers and last norm: what transformers calls `LlamaModel`."""

    def __init__(self, sizes: LanguageSizes) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(sizes.n_words, sizes.d_model)
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.n_layers))
        self.norm = RMSNorm(sizes.d_model, sizes.epsilon)


class LanguageModel(nn.Module):
    """A decoder that reads embeddings and says how likely each next word is.

    Shapes:
        embeds     float[b t d]   word embeddings, visual tokens, or both
        keep       bool[b s]      True where a token is real; each token then sees the real ones up to itself
                or bool[b t s]    True where token i may see token j: you decide everything
        positions  int[b t]       rotary positions
        returns    float[b t w]   logits of the next word

    Without a cache, s == t. With one, s counts the tokens in it as well, and the t tokens come after them.

    Raises:
        ShapeError: the three do not have the same batch and length.
    """

    def __init__(self, sizes: LanguageSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.model = Decoder(sizes)

    def new_cache(self) -> list[LayerCache]:
        """An empty cache: hand it to every call of one row, and each token is read once."""
        return [LayerCache() for _ in self.model.layers]

    def forward(
        self,
        embeds: Float[Tensor, "b t d"],
        keep: Bool[Tensor, "..."],
        positions: Int[Tensor, "..."],
        before_layer: Callable[[int, Tensor], Tensor] | None = None,
        looks: list[Tensor] | None = None,
        cache: list[LayerCache] | None = None,
    ) -> Float[Tensor, "b t w"]:
        """Run every layer in turn.

        Args:
            before_layer: called as `hidden = before_layer(i, hidden)` before layer i. A gated cross-attention
                bridge is `lambda i, hidden: blocks[i](hidden, visual, visual_mask)`.
            looks: an empty list; it receives the attention weights of each layer, float[b h t t]. Not with a
                cache, which holds keys and no weights.
            cache: from `new_cache()`, what earlier calls have read; it grows by these tokens.
        """
        past = 0 if cache is None else len(cache[0])
        batch, length = embeds.shape[:2]
        wanted = (batch, past + length) if keep.ndim == 2 else (batch, length, past + length)
        if keep.shape != wanted or positions.shape != embeds.shape[:2]:
            cached = f", the cache holds {past} tokens" if past else ""
            raise ShapeError(
                f"embeds are {tuple(embeds.shape[:2])} (batch, tokens), keep is {tuple(keep.shape)} and "
                f"positions are {tuple(positions.shape)}{cached}; all three need the same batch and tokens"
                f"{', keep those of the cache too' if past else ''}."
            )
        if looks is not None and past:
            raise ShapeError(f"with {past} tokens in the cache there are no whole weights to look at.")
        sees = sees_up_to_itself(keep)[:, past:] if keep.ndim == 2 else keep
        sees = rearrange(sees, "b i j -> b 1 i j")
        turn = rotation(positions, self.sizes.d_model // self.sizes.n_heads, self.sizes.rope_base)
        hidden = embeds
        for index, layer in enumerate(self.model.layers):
            assert isinstance(layer, DecoderLayer)
            if before_layer is not None:
                hidden = before_layer(index, hidden)
            hidden = layer(hidden, sees, turn, None if cache is None else cache[index], looks)
        return F.linear(self.model.norm(hidden), self.model.embed_tokens.weight)


def sees_up_to_itself(keep: Bool[Tensor, "b t"]) -> Bool[Tensor, "b t t"]:
    """The causal mask: token i sees token j if j is real and not later.

    Everything sees itself, so that a row of padding has something to look at and stays finite.
    """
    n = keep.shape[1]
    causal = torch.ones(n, n, dtype=torch.bool, device=keep.device).tril()
    itself = torch.eye(n, dtype=torch.bool, device=keep.device)
    return (causal & keep[:, None, :]) | itself


def pack(
    prefix_keep: Bool[Tensor, "b p"], block_keep: Bool[Tensor, "b n k"]
) -> tuple[Bool[Tensor, "b t t"], Int[Tensor, "b t"]]:
    """Mask and positions for many questions about one picture, in one row.

    The row is the prefix, then `n` blocks of `k` tokens. A block sees the prefix and itself, never another
    block, and its positions go on from the prefix: for each block all is as if it stood alone. The prefix
    is computed once.

    Shapes:
        prefix_keep  bool[b p]     True where a prefix token is real
        block_keep   bool[b n k]   True where a block's token is real
        returns      bool[b t t]   True where token i may see token j, with t == p + n k
                     int[b t]      positions
    """
    batch, p = prefix_keep.shape
    n, k = block_keep.shape[1:]
    device = prefix_keep.device
    keep = torch.cat([prefix_keep, rearrange(block_keep, "b n k -> b (n k)")], dim=1)
    block = torch.cat(
        [torch.full((p,), -1, device=device), repeat(torch.arange(n, device=device), "n -> (n k)", k=k)]
    )
    same = (block[:, None] == block[None, :]) | (block[None, :] == -1)
    within = torch.cumsum(prefix_keep.long(), dim=1)
    inside = rearrange(repeat(torch.arange(k, device=device), "k -> b n k", b=batch, n=n), "b n k -> b (n k)")
    positions = torch.cat([(within - 1).clamp(min=0), within[:, -1:] + inside], dim=1)
    return sees_up_to_itself(keep) & same[None], positions


def read_blocks(
    model: LanguageModel,
    prefix: Float[Tensor, "b p d"],
    prefix_keep: Bool[Tensor, "b p"],
    ids: Int[Tensor, "b n k"],
    keep: Bool[Tensor, "b n k"],
    before_layer: Callable[[int, Tensor], Tensor] | None = None,
    looks: list[Tensor] | None = None,
) -> Float[Tensor, "b n k w"]:
    """Let a model read many blocks of words behind one prefix, as `pack` lays them out.

    Padding between blocks is left out of the row before it is read, and put back afterwards: three tokens in
    ten where relations are asked too, one in twenty with the simple kinds. The prefix stays in front.

    Args:
        model: the language model.
        prefix, prefix_keep: embeddings before the blocks, and True where one is real.
        ids, keep: the blocks' words, and True where a word is real.
        before_layer, looks: as in `LanguageModel.forward`.

    Shapes:
        returns  float[b n k w]   logits of the word that follows each word; zeros where a word is padding
    """
    sees, positions = pack(prefix_keep, keep)
    stream = torch.cat([prefix, model.model.embed_tokens(rearrange(ids, "b n k -> b (n k)"))], dim=1)
    real = torch.cat([prefix_keep, rearrange(keep, "b n k -> b (n k)")], dim=1)
    longest = int(real.sum(1).max())
    kept = real.int().argsort(dim=1, descending=True, stable=True)[:, :longest]
    rows = torch.arange(len(kept), device=kept.device)[:, None]
    logits = model(
        stream[rows, kept],
        sees[rows[:, :, None], kept[:, :, None], kept[:, None, :]],
        positions[rows, kept],
        before_layer,
        looks,
    )
    whole = logits.new_zeros(*real.shape, logits.shape[-1])
    whole[rows, kept] = logits * real[rows, kept][..., None]
    found: Tensor = rearrange(whole[:, prefix.shape[1] :], "b (n k) w -> b n k w", n=ids.shape[1])
    return found
