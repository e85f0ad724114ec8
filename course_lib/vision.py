"""CLIP: a vision transformer and a text tower that meet in one space. The ViT is the course's frozen eye.

Parameter names and arithmetic are those of transformers' `CLIPVisionModel`, `CLIPTextModel` and `CLIPModel`
(5.23), so a checkpoint of either loads into the other; tests hold the two within 1e-5.

What a bridge reads are the *patch tokens of the penultimate layer* (LLaVA's choice). The contrastive loss
reads only the class token, so the last layer's patch tokens serve nobody, and the layer before them is the
last one that matters.

Axes in this file:
    b  pictures or sentences in the batch    v  visual tokens: the class token, then the patches row by row
    t  words of a sentence                   s  tokens of either kind
    d  width of a tower                      h  heads    e  width of one head    k  width of the shared space
    c y x  channel, row and column of a pixel

Source: Radford et al. 2021, CLIP, arXiv:2103.00020.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from course_lib.errors import ShapeError


@dataclass(frozen=True)
class TowerSizes:
    """The sizes of one transformer: what its two kinds of layers need to know."""

    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    d_hidden: int = 512


def quick_gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """CLIP's cheap GELU, x · sigmoid(1.702 x). It is not the erf GELU: they differ by up to 0.02."""
    return x * torch.sigmoid(1.702 * x)


class SelfAttention(nn.Module):
    """Multi-head self-attention with biases, as CLIP has it."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        if sizes.d_model % sizes.n_heads:
            raise ShapeError(
                f"d_model={sizes.d_model} cannot be cut into n_heads={sizes.n_heads} equal heads; "
                f"choose an n_heads that divides {sizes.d_model}."
            )
        self.n_heads = sizes.n_heads
        self.k_proj = nn.Linear(sizes.d_model, sizes.d_model)
        self.v_proj = nn.Linear(sizes.d_model, sizes.d_model)
        self.q_proj = nn.Linear(sizes.d_model, sizes.d_model)
        self.out_proj = nn.Linear(sizes.d_model, sizes.d_model)

    def forward(
        self, tokens: Float[Tensor, "b s d"], keep: Bool[Tensor, "b 1 s s"] | None = None
    ) -> Float[Tensor, "b s d"]:
        """Read each other. `keep` is True where a row's token may see a column's."""
        q, k, v = (
            rearrange(project(tokens), "b s (h e) -> b h s e", h=self.n_heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        mixed: Tensor = self.out_proj(rearrange(read, "b h s e -> b s (h e)"))
        return mixed


class Perceptron(nn.Module):
    """Two linear maps with CLIP's GELU between them."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.d_model, sizes.d_hidden)
        self.fc2 = nn.Linear(sizes.d_hidden, sizes.d_model)

    def forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        hidden: Tensor = self.fc2(quick_gelu(self.fc1(tokens)))
        return hidden


class Layer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        self.self_attn = SelfAttention(sizes)
        self.layer_norm1 = nn.LayerNorm(sizes.d_model)
        self.mlp = Perceptron(sizes)
        self.layer_norm2 = nn.LayerNorm(sizes.d_model)

    def forward(
        self, tokens: Float[Tensor, "b s d"], keep: Bool[Tensor, "b 1 s s"] | None = None
    ) -> Float[Tensor, "b s d"]:
        tokens = tokens + self.self_attn(self.layer_norm1(tokens), keep)
        return tokens + self.mlp(self.layer_norm2(tokens))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """A stack of layers that hands back what every layer wrote."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.n_layers))

    def forward(
        self, tokens: Float[Tensor, "b s d"], keep: Bool[Tensor, "b 1 s s"] | None = None
    ) -> list[Float[Tensor, "b s d"]]:
        """The input, then the output of each layer: `n_layers + 1` tensors."""
        states = [tokens]
        for layer in self.layers:
            states.append(layer(states[-1], keep))
        return states


class PictureEmbeddings(nn.Module):
    """Picture -> class token and patch tokens, with positions."""

    def __init__(self, sizes: TowerSizes, image_size: int, patch_size: int) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ShapeError(
                f"image_size={image_size} pixels cannot be cut into patches of {patch_size}; "
                f"choose a patch_size that divides {image_size}."
            )
        self.side = image_size // patch_size
        self.image_size = image_size
        self.class_embedding = nn.Parameter(torch.randn(sizes.d_model) * sizes.d_model**-0.5)
        self.patch_embedding = nn.Conv2d(3, sizes.d_model, patch_size, stride=patch_size, bias=False)
        self.position_embedding = nn.Embedding(self.side**2 + 1, sizes.d_model)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, pixels: Float[Tensor, "b c y x"]) -> Float[Tensor, "b v d"]:
        if tuple(pixels.shape[1:]) != (3, self.image_size, self.image_size):
            raise ShapeError(
                f"The encoder reads pictures of 3 x {self.image_size} x {self.image_size} and got "
                f"{' x '.join(map(str, pixels.shape[1:]))}; resize them, channels first."
            )
        patches = rearrange(self.patch_embedding(pixels), "b d y x -> b (y x) d")
        first = repeat(self.class_embedding, "d -> b 1 d", b=len(pixels))
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionTower(nn.Module):
    """A ViT whose parameters are those of transformers' `CLIPVisionModel`.

    Args:
        sizes: width, layers, heads.
        image_size: side of the square picture, in pixels.
        patch_size: side of a patch, in pixels; must divide `image_size`.

    Shapes:
        pixels   float[b 3 y x]   from `to_pixels`
        returns  float[b d]       the class token after the last layer norm, for the contrastive loss
    """

    def __init__(self, sizes: TowerSizes = TowerSizes(), image_size: int = 48, patch_size: int = 8) -> None:
        super().__init__()
        self.sizes = sizes
        self.embeddings = PictureEmbeddings(sizes, image_size, patch_size)
        self.pre_layrnorm = nn.LayerNorm(sizes.d_model)  # CLIP's own spelling, kept for its checkpoints
        self.encoder = Encoder(sizes)
        self.post_layernorm = nn.LayerNorm(sizes.d_model)

    def hidden_states(self, pixels: Float[Tensor, "b c y x"]) -> list[Float[Tensor, "b v d"]]:
        """What each layer wrote, the class token first; entry 0 is what the first layer reads."""
        states: list[Tensor] = self.encoder(self.pre_layrnorm(self.embeddings(pixels)))
        return states

    def patch_tokens(self, pixels: Float[Tensor, "b c y x"], layer: int = -2) -> Float[Tensor, "b v d"]:
        """The patches of one layer without the class token, row by row; -2 is the penultimate layer."""
        return self.hidden_states(pixels)[layer][:, 1:]

    def forward(self, pixels: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d"]:
        pooled: Tensor = self.post_layernorm(self.hidden_states(pixels)[-1][:, 0])
        return pooled


class WordEmbeddings(nn.Module):
    """Ids -> word embeddings, with positions."""

    def __init__(self, sizes: TowerSizes, n_words: int, most_words: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(n_words, sizes.d_model)
        self.position_embedding = nn.Embedding(most_words, sizes.d_model)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        most = self.position_embedding.num_embeddings
        if ids.shape[1] > most:
            raise ShapeError(
                f"The text tower reads {most} words and got {ids.shape[1]}; shorten the caption."
            )
        words: Tensor = self.token_embedding(ids)
        return words + self.position_embedding.weight[: ids.shape[1]]


class TextTower(nn.Module):
    """CLIP's text side: causal, and a sentence is what its `<end>` token knows.

    Args:
        sizes: width, layers, heads.
        n_words: size of the vocabulary.
        most_words: longest sentence, in words.
        end_id: id of the word that closes a sentence. Every sentence must have it; only the first one counts.

    Shapes:
        ids      int[b t]     start, words, end, then padding
        returns  float[b d]
    """

    def __init__(self, sizes: TowerSizes, n_words: int, most_words: int, end_id: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.end_id = end_id
        self.embeddings = WordEmbeddings(sizes, n_words, most_words)
        self.encoder = Encoder(sizes)
        self.final_layer_norm = nn.LayerNorm(sizes.d_model)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril()
        # No padding mask is needed: padding comes after <end>, and <end> cannot look ahead.
        keep = repeat(causal, "i j -> b 1 i j", b=len(ids))
        words = self.final_layer_norm(self.encoder(self.embeddings(ids), keep)[-1])
        end = (ids == self.end_id).int().argmax(dim=1)
        picked: Tensor = words[torch.arange(len(ids), device=ids.device), end]
        return picked


class ContrastiveModel(nn.Module):
    """Two towers and one space, with the parameters of transformers' `CLIPModel`."""

    def __init__(self, vision: VisionTower, text: TextTower, d_shared: int = 128) -> None:
        super().__init__()
        self.vision_model = vision
        self.text_model = text
        self.visual_projection = nn.Linear(vision.sizes.d_model, d_shared, bias=False)
        self.text_projection = nn.Linear(text.sizes.d_model, d_shared, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))

    def encode_pictures(self, pixels: Float[Tensor, "b c y x"]) -> Float[Tensor, "b k"]:
        """Pictures as unit vectors of the shared space."""
        return F.normalize(self.visual_projection(self.vision_model(pixels)), dim=-1)

    def encode_sentences(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b k"]:
        """Sentences as unit vectors of the shared space."""
        return F.normalize(self.text_projection(self.text_model(ids)), dim=-1)

    def forward(self, pixels: Float[Tensor, "b c y x"], ids: Int[Tensor, "b2 t"]) -> Float[Tensor, "b2 b"]:
        """How well each sentence (row) fits each picture (column): cosine, times a learned scale."""
        logits: Tensor = self.encode_sentences(ids) @ self.encode_pictures(pixels).T * self.logit_scale.exp()
        return logits


def contrastive_loss(logits: Float[Tensor, "b b"]) -> Float[Tensor, ""]:
    """InfoNCE both ways: a sentence must find its picture, a picture its sentence; the diagonal is right."""
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def to_pixels(pictures: UInt8[Tensor, "b y x c"]) -> Float[Tensor, "b c y x"]:
    """Bytes from 0 to 255, channels last -> floats from -1 to 1, channels first."""
    return rearrange(pictures.float() / 127.5 - 1, "b y x c -> b c y x")
