"""Published models as sizes: what to hand to `course_lib.cost_model`, and what they are said to weigh.

    REAL      eight models by name, each a `RealModel`

Source: the configurations that transformers (5.23) has for them, and where its defaults are of another size,
those of the published checkpoints; each model's paper stands beside it. Tests build every one on torch's meta
device and hold the counted parameters within 0.5 % of what is built.
"""

from dataclasses import dataclass

from course_lib.cost_model import (
    RGB,
    DecoderSizes,
    EncoderSizes,
    decoder_parameters,
    encoder_parameters,
    encoder_tokens,
    gated_parameters,
    linear_parameters,
    mlp_parameters,
    picture_tokens,
    qformer_parameters,
    resampler_parameters,
)


@dataclass(frozen=True)
class RealModel:
    """A published model, as far as costs go.

    Args:
        decoder: of its language model, without the blocks between its layers.
        encoder: None where raw patches go straight in.
        bridge: parameters of all that stands between, blocks included.
        visual: visual tokens of one picture, where they meet the text.
        cross_every: a gated block before every n-th layer; 0: the picture stands in the stream.
        d_visual: width that those blocks read.
        source: where the model was published.
    """

    decoder: DecoderSizes
    encoder: EncoderSizes | None
    bridge: int
    visual: int
    cross_every: int = 0
    d_visual: int = 0
    source: str = ""

    @property
    def parameters(self) -> int:
        """Of the whole model."""
        eye = 0 if self.encoder is None else encoder_parameters(self.encoder)
        return eye + self.bridge + decoder_parameters(self.decoder)["total"]


CLIP_L = EncoderSizes(1024, 24, 16, 4096, patch=14, image=336)
EVA_G = EncoderSizes(1408, 39, 16, 6144, patch=14, image=224)
CLIP_H = EncoderSizes(1280, 32, 16, 5120, patch=14, image=224)
SIGLIP = EncoderSizes(1152, 27, 16, 4304, patch=14, image=224, class_token=False)
# 32 layers and 8 more that look at all tiles together, counted as layers of one kind.
MLLAMA_EYE = EncoderSizes(1280, 40, 16, 5120, patch=14, image=448)
QWEN_EYE = EncoderSizes(1280, 32, 16, 5120, patch=14, image=224, class_token=False, frames=2, positions=False)

LLAMA_7B = DecoderSizes(32_000, 4096, 32, 32, 32, 128, 11_008)
VICUNA_7B = DecoderSizes(32_064, 4096, 32, 32, 32, 128, 11_008)
OPT_2_7B = DecoderSizes(50_304, 2560, 32, 32, 32, 80, 10_240, gated=False, tied=True)
PERSIMMON_8B = DecoderSizes(262_144, 4096, 36, 64, 64, 64, 16_384, gated=False)
LLAMA_3_8B = DecoderSizes(128_256, 4096, 32, 32, 8, 128, 14_336)
GEMMA_2B = DecoderSizes(257_216, 2048, 18, 8, 1, 256, 16_384, tied=True)
QWEN2_7B = DecoderSizes(152_064, 3584, 28, 28, 4, 128, 18_944)

REAL = {
    "LLaVA-1.5-7B": RealModel(
        VICUNA_7B, CLIP_L, mlp_parameters(1024, 4096), visual=576, source="Liu et al. 2023, arXiv:2310.03744"
    ),
    "LLaVA-NeXT-7B, 672 x 672": RealModel(
        VICUNA_7B,
        CLIP_L,
        mlp_parameters(1024, 4096) + 4096,
        visual=picture_tokens(672, 672, 14, tile=336, newlines=True),
        source="Liu et al. 2024, LLaVA-NeXT; its newline is a learned token of 4,096 numbers",
    ),
    "BLIP-2 OPT-2.7B": RealModel(
        OPT_2_7B,
        EVA_G,
        qformer_parameters(768, 1408, 2560, n_queries=32, n_layers=12, d_hidden=3072),
        visual=32,
        source="Li et al. 2023, arXiv:2301.12597",
    ),
    "IDEFICS-9B": RealModel(
        LLAMA_7B,
        CLIP_H,
        8 * gated_parameters(LLAMA_7B, 1280)["total"] + resampler_parameters(1280, 64, 6, 16, 96),
        visual=64,
        cross_every=4,
        d_visual=1280,
        source="Laurençon et al. 2023, arXiv:2306.16527",
    ),
    "Fuyu-8B, 300 x 300": RealModel(
        PERSIMMON_8B,
        None,
        linear_parameters(30 * 30 * RGB, 4096),
        visual=picture_tokens(300, 300, 30, newlines=True),
        source="Bavishi et al. 2023, adept.ai/blog/fuyu-8b",
    ),
    "Llama-3.2-11B-Vision": RealModel(
        LLAMA_3_8B,
        MLLAMA_EYE,
        8 * gated_parameters(LLAMA_3_8B, 4096)["total"] + linear_parameters(7680, 4096),
        visual=4 * encoder_tokens(MLLAMA_EYE),
        cross_every=4,
        d_visual=4096,
        source="Grattafiori et al. 2024, arXiv:2407.21783; four tiles of 448 pixels",
    ),
    "PaliGemma-3B, 224 x 224": RealModel(
        GEMMA_2B,
        SIGLIP,
        linear_parameters(1152, 2048),
        visual=256,
        source="Beyer et al. 2024, arXiv:2407.07726",
    ),
    "Qwen2-VL-7B, 448 x 448": RealModel(
        QWEN2_7B,
        QWEN_EYE,
        mlp_parameters(4 * 1280, 3584, d_hidden=4 * 1280),
        visual=picture_tokens(448, 448, 14, merge=2),
        source="Wang et al. 2024, arXiv:2409.12191; any size, 2 x 2 patches merged",
    ),
}
