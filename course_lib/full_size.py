"""The same parts in models of the real size: counted without weights, and opened with them.

    parts_of(name)        a real configuration, built on torch's meta device: every shape, not one number
    flamingo_counts(...)  the three Flamingos of the paper, of a learner's own parts, on the same device
    tiny_llava(folder)    a LLaVA checkpoint small enough to write anywhere: random weights and a tokenizer
    tiny_idefics(folder)  an IDEFICS checkpoint of that kind

`open_llava` and `open_idefics` take the real weights where there is a network and a GPU with room for them,
and the tiny checkpoint elsewhere. What comes after them is one and the same code.

Axes in this file:
    b  rows      t  tokens      h w  pixels      n  pictures of a row      v  tokens of one picture
    s  visual tokens of a row      d  width      w  words

Source: Liu et al. 2023, arXiv:2310.03744 (LLaVA-1.5); Li et al. 2023, arXiv:2301.12597 (BLIP-2); Alayrac et
al. 2022, arXiv:2204.14198 (Flamingo); Laurençon et al. 2023, arXiv:2306.16527 (IDEFICS); shapes as in
transformers' classes of these names.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.errors import CourseError

REAL_LLAVA = "llava-hf/llava-1.5-7b-hf"
REAL_IDEFICS = "HuggingFaceM4/idefics-9b"
# Weights of two bytes, 7.06 and 8.93 billion of them, and about a gigabyte to work in.
REAL_ROOM_GIB = {REAL_LLAVA: 14.2, REAL_IDEFICS: 17.7}
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
TINY_WORDS = (
    "USER: ASSISTANT: what colour is the ring ? where count red green blue yellow top left right".split()
)


def count(module: nn.Module | Iterable[nn.Parameter]) -> int:
    """How many numbers a module's parameters hold. A parameter that two places share counts once."""
    parameters = module.parameters() if isinstance(module, nn.Module) else module
    return sum(p.numel() for p in {id(p): p for p in parameters}.values())


def has_transformers() -> bool:
    """True if the library with the real models is installed."""
    return importlib.util.find_spec("transformers") is not None


# -- counting on the meta device ---------------------------------------------------------------------------


def parts_of(name: str) -> dict[str, int]:
    """Parameters of a real model by part: encoder, bridge, language model.

    Args:
        name: "LLaVA-1.5-7B", "BLIP-2 OPT-2.7B" or "IDEFICS-9B style".

    Raises:
        CourseError: no such configuration here, or transformers is not installed.
    """
    builders: dict[str, Callable[[], dict[str, int]]] = {
        "LLaVA-1.5-7B": _llava_parts,
        "BLIP-2 OPT-2.7B": _blip2_parts,
        "IDEFICS-9B style": _idefics_parts,
    }
    if name not in builders:
        raise CourseError(f"no configuration called {name!r}; there are {', '.join(builders)}.")
    _transformers()
    with torch.device("meta"):
        return builders[name]()


def _llava_parts() -> dict[str, int]:
    tf = _transformers()
    text = tf.LlamaConfig(vocab_size=32064, max_position_embeddings=4096)
    vision = tf.CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    model = tf.LlavaForConditionalGeneration(tf.LlavaConfig(text_config=text, vision_config=vision))
    bridge = count(model.model.multi_modal_projector)
    return _shares(count(model), encoder=count(model.model.vision_tower), bridge=bridge)


def _blip2_parts() -> dict[str, int]:
    tf = _transformers()
    text = tf.OPTConfig(
        vocab_size=50304,
        hidden_size=2560,
        ffn_dim=10240,
        num_hidden_layers=32,
        num_attention_heads=32,
        word_embed_proj_dim=2560,
    )
    config = tf.Blip2Config(
        vision_config=tf.Blip2VisionConfig().to_dict(),
        qformer_config=tf.Blip2QFormerConfig().to_dict(),
        text_config=text.to_dict(),
    )
    model = tf.Blip2ForConditionalGeneration(config)
    bridge = count(model.qformer) + model.query_tokens.numel() + count(model.language_projection)
    return _shares(count(model), encoder=count(model.vision_model), bridge=bridge)


def _idefics_parts() -> dict[str, int]:
    tf = _transformers()
    config = tf.IdeficsConfig(
        cross_layer_interval=4,
        use_resampler=True,
        perceiver_config=tf.models.idefics.configuration_idefics.IdeficsPerceiverConfig(
            use_resampler=True
        ).to_dict(),
        vision_config=tf.models.idefics.configuration_idefics.IdeficsVisionConfig(embed_dim=1280).to_dict(),
    )
    model = tf.IdeficsForVisionText2Text(config)
    bridge = count(model.model.gated_cross_attn_layers) + count(model.model.perceiver_resampler)
    return _shares(count(model), encoder=count(model.model.vision_model), bridge=bridge)


def _shares(total: int, *, encoder: int, bridge: int) -> dict[str, int]:
    return {"encoder": encoder, "bridge": bridge, "language model": total - encoder - bridge, "total": total}


# -- Flamingo's three sizes, of a learner's own parts ------------------------------------------------------


@dataclass(frozen=True)
class FlamingoSizes:
    """One row of the paper's tables 4 and 5: sizes as printed, and the counts it rounds to."""

    layers: int  # of the frozen language model
    d_text: int
    n_heads: int
    interval: int
    said_language_model: float
    said_gated: float

    @property
    def places(self) -> list[int]:
        """Before which layers of the language model a gated block stands."""
        return list(range(0, self.layers, self.interval))


FLAMINGOS = {
    "Flamingo-3B": FlamingoSizes(24, 2048, 16, 1, 1.4e9, 1.2e9),
    "Flamingo-9B": FlamingoSizes(40, 4096, 32, 4, 7.1e9, 1.6e9),
    "Flamingo-80B": FlamingoSizes(80, 8192, 64, 7, 70e9, 10e9),
}
SAID_RESAMPLER = 194e6
D_VISUAL, LATENTS, RESAMPLER_LAYERS, RESAMPLER_HEADS, RESAMPLER_HEAD, GATED_HEAD = 1536, 64, 6, 16, 96, 128


class SquaredReLU(nn.Module):
    """The activation of Flamingo's new layers. It has no parameters."""

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return F.relu(x).square()


def flamingo_counts(
    resampler: Callable[..., nn.Module],
    attention: Callable[..., nn.Module],
    block: Callable[..., nn.Module],
    d_visual: int | None = D_VISUAL,
) -> dict[str, dict[str, int]]:
    """Parameters of the three Flamingos' new parts, built of the parts given, on the meta device.

    Args:
        resampler, attention, block: called as resampler(d_model, n_latents, n_layers, n_heads, d_head),
            attention(d_text, d_visual, n_heads, d_head), block(attention, feed_forward, d_text).
        d_visual: the width that keys and values are made from. The paper does not print it. 1536 is what the
            resampler hands on; None takes the text's width.

    Returns:
        For each size: "blocks", "attention" and "feed-forward" of one block, "gated" of all blocks,
        "resampler", and "trainable", the last two together.
    """
    found = {}
    with torch.device("meta"):
        looked = count(resampler(D_VISUAL, LATENTS, RESAMPLER_LAYERS, RESAMPLER_HEADS, RESAMPLER_HEAD))
        for name, size in FLAMINGOS.items():
            d = size.d_text
            widen, narrow = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)
            feed_forward = nn.Sequential(widen, SquaredReLU(), narrow)
            reads = attention(d, d if d_visual is None else d_visual, size.n_heads, GATED_HEAD)
            gated = len(size.places) * count(block(reads, feed_forward, d))
            found[name] = {
                "blocks": len(size.places),
                "attention": count(reads),
                "feed-forward": count(feed_forward),
                "gated": gated,
                "resampler": looked,
                "trainable": gated + looked,
            }
    return found


# -- a LLaVA to open ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Llava:
    """An opened LLaVA: transformers' model and tokenizer, and whether the weights are the real ones."""

    model: Any
    tokenizer: Any
    name: str
    is_real: bool

    @property
    def n_visual(self) -> int:
        """Visual tokens of one picture in the language model's stream."""
        vision = self.model.config.vision_config
        return int((vision.image_size // vision.patch_size) ** 2)

    def pixels(self, picture: UInt8[Any, "h w 3"]) -> Float[Tensor, "1 3 s s"]:
        """A picture at the encoder's size, shifted and scaled as CLIP's pictures are."""
        size = self.model.config.vision_config.image_size
        raw = torch.as_tensor(picture).permute(2, 0, 1)[None].float() / 255
        resized = F.interpolate(raw, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
        mean, std = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
        return ((resized.clamp(0, 1) - mean) / std).to(self.model.device, self.model.dtype)

    def patch_tokens(self, picture: UInt8[Any, "h w 3"]) -> Float[Tensor, "1 v d"]:
        """What LLaVA hands to its projector: the encoder's last but one layer, without [CLS]."""
        with torch.no_grad():
            seen = self.model.model.vision_tower(self.pixels(picture), output_hidden_states=True)
        tokens: Tensor = seen.hidden_states[-2][:, 1:]
        return tokens

    def prompt(self, question: str) -> list[int]:
        """Token ids of one turn, with one `<image>` id where the picture belongs."""
        text = f"USER: <image>\n{question} ASSISTANT:"
        return [int(i) for i in self.tokenizer(text)["input_ids"]]

    def expanded(self, ids: list[int]) -> list[int]:
        """The ids as transformers wants them: the `<image>` id once for every visual token."""
        image = self.model.config.image_token_id
        return [i for token in ids for i in ([token] * self.n_visual if token == image else [token])]

    def answer(self, picture: UInt8[Any, "h w 3"], question: str, new_tokens: int = 12) -> str:
        """A greedy answer. From random weights it is noise, and that is right."""
        ids = torch.tensor([self.expanded(self.prompt(question))], device=self.model.device)
        with torch.no_grad():
            out = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=self.pixels(picture),
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        return str(self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)).strip()


def open_llava(folder: Path | str, real: bool | None = None) -> Llava:
    """Open LLaVA-1.5-7B where this machine can hold it, a tiny random LLaVA of the same classes elsewhere.

    Args:
        folder: where the tiny checkpoint is written; a temporary folder will do.
        real: True asks for the real weights (13 GiB to download), False for the tiny ones; None decides by
            the machine: a GPU with room and a network that is not switched off.
    """
    tf = _transformers()
    if real is None:
        real = _has_room_for(REAL_LLAVA)
    if real:
        try:
            return _opened(tf, REAL_LLAVA, dtype=torch.float16, device="cuda")
        except OSError:
            print(f"{REAL_LLAVA} cannot be fetched from here; going on with a tiny random LLaVA.")
    return _opened(tf, str(tiny_llava(folder)), dtype=torch.float32, device="cpu")


def _opened(tf: Any, where: str, *, dtype: torch.dtype, device: str) -> Llava:
    model = tf.LlavaForConditionalGeneration.from_pretrained(where, dtype=dtype, attn_implementation="eager")
    tokenizer = tf.AutoTokenizer.from_pretrained(where)
    name = where if where == REAL_LLAVA else "a tiny random LLaVA"
    return Llava(model.to(device).eval(), tokenizer, name, is_real=where == REAL_LLAVA)


def tiny_llava(folder: Path | str, seed: int = 0) -> Path:
    """Write a LLaVA checkpoint of 40 thousand random weights, with its tokenizer; return its folder.

    Every weight is re-drawn: fresh models hide errors behind zeros and ones.
    """
    tf = _transformers()
    words = ["<unk>", "<pad>", "<image>", *TINY_WORDS]
    folder = Path(folder) / "tiny_llava"
    vision = tf.CLIPVisionConfig(
        hidden_size=20,
        intermediate_size=36,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=48,
        patch_size=8,
        projection_dim=16,
    )
    text = tf.LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=1,
        bos_token_id=None,
        eos_token_id=None,
    )
    config = tf.LlavaConfig(vision_config=vision, text_config=text, image_token_index=2)
    model = tf.LlavaForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
    model.save_pretrained(folder)
    _tiny_tokenizer(tf, words).save_pretrained(folder)
    return folder


def _tiny_tokenizer(tf: Any, words: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    table = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    table.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=table,
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
        model_input_names=["input_ids", "attention_mask"],
    )


# -- an IDEFICS to open ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Idefics:
    """An opened IDEFICS: transformers' model, and whether the weights are the real ones."""

    model: Any
    name: str
    is_real: bool

    @property
    def resampler(self) -> nn.Module:
        """Transformers' resampler, called as resampler(visual)."""
        part: nn.Module = self.model.model.perceiver_resampler
        return part

    @property
    def blocks(self) -> nn.ModuleList:
        """Transformers' gated layers, each called as block(text, visual, media_mask), True = keep."""
        return nn.ModuleList(_CalledAsABlock(layer) for layer in self.model.model.gated_cross_attn_layers)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that a learner's parts need to take its weights."""
        config, looks = self.model.config, self.model.config.perceiver_config
        return {
            "d_text": config.hidden_size,
            "d_visual": config.vision_config.embed_dim,
            "d_hidden": config.intermediate_size,
            "n_heads": config.num_attention_heads,
            "n_latents": looks.resampler_n_latents,
            "resampler_layers": looks.resampler_depth,
            "resampler_heads": looks.resampler_n_heads,
            "resampler_head": looks.resampler_head_dim,
            "interval": config.cross_layer_interval,
            "n_words": config.vocab_size,
        }

    @torch.no_grad()
    def logits(
        self,
        ids: Int[Tensor, "b t"],
        patches: Float[Tensor, "b n v d"],
        reads: Bool[Tensor, "b t n"],
        resampler: nn.Module | None = None,
        blocks: nn.ModuleList | None = None,
    ) -> Float[Tensor, "b t w"]:
        """One forward pass of the whole model, with its own parts or with those given in their place.

        Args:
            ids: of the row, tags among them.
            patches: the encoder's tokens of each picture; the encoder itself is not run.
            reads: True where a token reads a picture.
            resampler, blocks: in place of the model's own; afterwards the model is as it was.
        """
        inner = self.model.model
        layers = inner.gated_cross_attn_layers
        if resampler is not None:
            looked = [resampler(row) for row in patches]
            seen = {"perceiver_embeddings": torch.stack(looked)}
        else:
            seen = {"image_encoder_embeddings": patches}
        try:
            if blocks is not None:
                inner.gated_cross_attn_layers = nn.ModuleList(_CalledAsALayer(block) for block in blocks)
            out = self.model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                image_attention_mask=reads.long(),
                use_cache=False,
                **seen,
            )
        finally:
            inner.gated_cross_attn_layers = layers
        found: Tensor = out.logits
        return found


class _CalledAsABlock(nn.Module):
    """A layer of transformers', called with a boolean mask. Its parts keep their names, for the debugger."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        for name, part in layer.named_children():
            self.add_module(name, part)
        for name, parameter in layer.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        self._layer = [layer]  # in a list, so that its parameters do not appear twice

    def forward(
        self,
        text: Float[Tensor, "b t d_text"],
        visual: Float[Tensor, "b s d_visual"],
        media_mask: Bool[Tensor, "b t s"],
    ) -> Float[Tensor, "b t d_text"]:
        hides = torch.zeros_like(media_mask, dtype=text.dtype)
        hides = hides.masked_fill(~media_mask, torch.finfo(text.dtype).min)[:, None]
        out: Tensor = self._layer[0](
            text,
            None,
            visual,
            image_attention_mask=hides,
            cross_attention_gate=media_mask.any(dim=2).to(text.dtype),
        )
        return out


class _CalledAsALayer(nn.Module):
    """A learner's block, called as transformers calls its layer."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(
        self, text: Tensor, _: Tensor | None, visual: Tensor, image_attention_mask: Tensor, **ignored: Any
    ) -> Tensor:
        out: Tensor = self.block(text, visual, image_attention_mask[:, 0] == 0)
        return out


def open_idefics(folder: Path | str, real: bool | None = None) -> Idefics:
    """Open IDEFICS-9B where this machine can hold it, a tiny random IDEFICS of the same classes elsewhere.

    Args:
        folder: where the tiny checkpoint is written; a temporary folder will do.
        real: True asks for the real weights (17 GiB in half precision), False for the tiny ones; None
            decides by the machine: a GPU with room and a network that is not switched off.
    """
    tf = _transformers()
    if real is None:
        real = _has_room_for(REAL_IDEFICS)
    if real:
        try:
            return _opened_idefics(tf, REAL_IDEFICS, dtype=torch.float16, device="cuda")
        except OSError:
            print(f"{REAL_IDEFICS} cannot be fetched from here; going on with a tiny random IDEFICS.")
    return _opened_idefics(tf, str(tiny_idefics(folder)), dtype=torch.float32, device="cpu")


def _opened_idefics(tf: Any, where: str, *, dtype: torch.dtype, device: str) -> Idefics:
    model = tf.IdeficsForVisionText2Text.from_pretrained(where, dtype=dtype, attn_implementation="eager")
    name = where if where == REAL_IDEFICS else "a tiny random IDEFICS"
    return Idefics(model.to(device).eval(), name, is_real=where == REAL_IDEFICS)


def tiny_idefics(folder: Path | str, seed: int = 0, norms: bool = False) -> Path:
    """Write an IDEFICS checkpoint of 75 thousand random weights; return its folder.

    Every weight is re-drawn, the gates too: closed ones would hide every error behind them.

    Args:
        folder: where to write; the checkpoint gets a folder in it.
        seed: of the weights.
        norms: queries and keys are normed, in the resampler and in the gated layers, an option that
            transformers' classes have and the exercises leave out.
    """
    tf = _transformers()
    idefics = tf.models.idefics.configuration_idefics
    looks = idefics.IdeficsPerceiverConfig(
        use_resampler=True,
        resampler_n_latents=5,
        resampler_depth=2,
        resampler_n_heads=3,
        resampler_head_dim=7,
        qk_layer_norms_perceiver=norms,
    )
    vision = idefics.IdeficsVisionConfig(
        embed_dim=20,
        intermediate_size=36,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=48,
        patch_size=8,
    )
    config = tf.IdeficsConfig(
        vocab_size=len(TINY_WORDS) + 3,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=256,
        cross_layer_interval=2,
        qk_layer_norms=norms,
        use_resampler=True,
        vision_config=vision.to_dict(),
        perceiver_config=looks.to_dict(),
        pad_token_id=1,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = tf.IdeficsForVisionText2Text(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
    folder = Path(folder) / ("tiny_idefics_with_norms" if norms else "tiny_idefics")
    model.save_pretrained(folder)
    return folder


def _has_room_for(name: str) -> bool:
    """A GPU with the room, and a network that is not switched off."""
    if not torch.cuda.is_available() or os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    return torch.cuda.mem_get_info()[0] / 2**30 >= REAL_ROOM_GIB[name]


def _transformers() -> Any:
    if not has_transformers():
        raise CourseError(
            'transformers is not installed; run `pip install "transformers>=5"`, or skip this section.'
        )
    transformers: Any = importlib.import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
