"""A BLIP-2 to open: the real one where a machine can hold it, a tiny one of the same classes elsewhere.

    tiny_blip2(folder)   a checkpoint of seventy thousand random weights, with its processor and tokenizer
    open_blip2(folder)   the model and the processor, by the same two classes for both

The tiny tokenizer follows OPT's: a word carries the space in front of it, [BOS] begins a text, a line break
ends an answer. The image processor is the one that needs pillow and no torchvision.

Source: Li et al. 2023, BLIP-2, arXiv:2301.12597; Blip2ForConditionalGeneration of transformers 5.23.
"""

import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_lib.errors import CourseError
from course_lib.full_size import has_transformers

REAL_BLIP2 = "Salesforce/blip2-opt-2.7b"
REAL_ROOM_GIB = 8.5  # 3.74 billion weights of two bytes, and about a gigabyte and a half to work in
WORDS = (
    "what colour is the ring square cross disc there a of in picture and left right above below how many are "
    "red green blue yellow white yes no one two three top bottom corner middle"
).split()
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # the numbers of OPT's
BREAK = "\N{LATIN CAPITAL LETTER C WITH DOT ABOVE}"  # how a byte-level tokenizer spells a line break
GAP = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"  # and a space


@dataclass(frozen=True)
class Blip2:
    """An opened BLIP-2: transformers' model and processor, and whether the weights are the real ones."""

    model: Any
    processor: Any
    name: str
    is_real: bool


def open_blip2(folder: Path | str, real: bool | None = None) -> Blip2:
    """Open BLIP-2 with OPT-2.7B where this machine can hold it, a tiny random one elsewhere.

    Args:
        folder: where the tiny checkpoint is written; a temporary folder will do.
        real: True asks for the real weights (15 GB to download), False for the tiny ones; None decides by the
            machine: a GPU with room and a network that is not switched off.
    """
    tf = _transformers()
    if real is None:
        real = _gpu_has_room() and os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0")
    if real:
        try:
            return _opened(tf, REAL_BLIP2, dtype=torch.float16, device="cuda")
        except OSError:
            print(f"{REAL_BLIP2} cannot be fetched from here; going on with a tiny random BLIP-2.")
    return _opened(tf, str(tiny_blip2(folder)), dtype=torch.float32, device="cpu")


def _opened(tf: Any, where: str, *, dtype: torch.dtype, device: str) -> Blip2:
    processor = tf.AutoProcessor.from_pretrained(where)
    model = tf.AutoModelForImageTextToText.from_pretrained(where, dtype=dtype)
    real = where == REAL_BLIP2
    name = where if real else "a tiny random BLIP-2"
    return Blip2(model.to(device).eval(), processor, name, is_real=real)


def tiny_blip2(folder: Path | str, seed: int = 0) -> Path:
    """Write a BLIP-2 checkpoint of random weights, with its processor; return its folder.

    Every weight is re-drawn: fresh models hide errors behind zeros and ones, and a fresh BLIP-2 has
    queries of zero.
    """
    tf = _transformers()
    folder = Path(folder) / "tiny_blip2"
    n_queries, image_size = 6, 48
    tokenizer = _tiny_tokenizer(tf)
    # AutoProcessor falls back on pillow's by itself where torchvision is missing.
    pictures = tf.BlipImageProcessorPil(size={"height": image_size, "width": image_size})
    processor = tf.Blip2Processor(pictures, tokenizer, num_query_tokens=n_queries)
    vision = tf.Blip2VisionConfig(
        hidden_size=20,
        intermediate_size=36,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=8,
    )
    qformer = tf.Blip2QFormerConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        encoder_hidden_size=20,
    )
    text = tf.OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        ffn_dim=56,
        num_hidden_layers=3,
        num_attention_heads=4,
        word_embed_proj_dim=32,
        max_position_embeddings=256,
        bos_token_id=SPECIAL.index("</s>"),
        pad_token_id=SPECIAL.index("<pad>"),
        eos_token_id=tokenizer.convert_tokens_to_ids(BREAK),
        tie_word_embeddings=False,  # OPT's are tied; at random, each word would then call for itself
    )
    config = tf.Blip2Config(
        vision_config=vision.to_dict(),
        qformer_config=qformer.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=n_queries,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = tf.Blip2ForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = "norm" in name.lower() and name.endswith("weight")  # around 1: bridge and words count
            parameter.normal_(float(is_scale), 0.25, generator=generator)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tiny_tokenizer(tf: Any) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    after_a_space = (GAP + word for word in (*WORDS, "Answer", "?"))
    words = [*SPECIAL, "Question", ":", "?", ",", ".", BREAK, *after_a_space]
    table = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    table.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    table.decoder = decoders.ByteLevel()
    start = ("</s>", SPECIAL.index("</s>"))
    table.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[start])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=table,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="</s>",
        eos_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )


def _gpu_has_room() -> bool:
    return torch.cuda.is_available() and torch.cuda.mem_get_info()[0] / 2**30 >= REAL_ROOM_GIB


def _transformers() -> Any:
    if not has_transformers():
        raise CourseError(
            'transformers is not installed; run `pip install "transformers>=5"`, or skip this section.'
        )
    transformers: Any = importlib.import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
