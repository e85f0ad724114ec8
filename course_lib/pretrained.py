"""The backbones as a transformers user knows them: folders that `from_pretrained` opens.

    folder = save_pretrained("backbones")
    CLIPVisionModel.from_pretrained(folder / "encoder")
    LlamaForCausalLM.from_pretrained(folder / "language_model")
    AutoTokenizer.from_pretrained(folder / "language_model")

Nothing is converted: our parameters carry transformers' names already. The tokenizer knows whole words only,
and a word it does not know is an error, never a silent gap. The encoder reads pixels from -1 to 1, channels
first (`course_lib.vision.to_pixels`).
"""

import importlib
from pathlib import Path
from typing import Any

from course_lib.backbones import load_encoder, load_language_model
from course_lib.errors import CourseError
from course_lib.microworld import Vocabulary
from course_lib.vision import VisionTower

MOST_TOKENS = 512  # rotary positions need no table; transformers wants a number


def save_pretrained(folder: Path | str, encoder: str = "best", language_model: str = "best") -> Path:
    """Write both backbones and the tokenizer as transformers checkpoints.

    Args:
        folder: made if missing; `encoder/` and `language_model/` go into it.
        encoder, language_model: which ones; see `course_lib.backbones`.

    Returns:
        The folder.

    Raises:
        CourseError: transformers is not installed, or there is no such backbone.
        DataError: a shipped file is missing or is not the one the manifest names.
    """
    tf = _transformers()
    folder = Path(folder)
    vision = load_encoder(which=encoder)
    theirs = tf.CLIPVisionModel(vision_config(vision))
    theirs.load_state_dict(vision.state_dict(), strict=True)
    theirs.save_pretrained(folder / "encoder")

    model = load_language_model(which=language_model)
    words, sizes = Vocabulary(), model.sizes
    config = tf.LlamaConfig(
        vocab_size=sizes.n_words,
        hidden_size=sizes.d_model,
        intermediate_size=sizes.d_hidden,
        num_hidden_layers=sizes.n_layers,
        num_attention_heads=sizes.n_heads,
        num_key_value_heads=sizes.n_heads,
        max_position_embeddings=MOST_TOKENS,
        rms_norm_eps=sizes.epsilon,
        rope_parameters={"rope_theta": sizes.rope_base, "rope_type": "default"},
        tie_word_embeddings=True,
        pad_token_id=words.pad_id,
        bos_token_id=words.start_id,
        eos_token_id=words.end_id,
    )
    llama = tf.LlamaForCausalLM(config)
    missing, unexpected = llama.load_state_dict(model.state_dict(), strict=False)
    assert (list(missing), list(unexpected)) == (["lm_head.weight"], []), (missing, unexpected)
    llama.tie_weights()
    llama.save_pretrained(folder / "language_model")
    tokenizer().save_pretrained(folder / "language_model")
    return folder


def vision_config(vision: VisionTower) -> Any:
    """The `CLIPVisionConfig` of one of our encoders."""
    sizes, pictures = vision.sizes, vision.embeddings
    return _transformers().CLIPVisionConfig(
        hidden_size=sizes.d_model,
        intermediate_size=sizes.d_hidden,
        num_hidden_layers=sizes.n_layers,
        num_attention_heads=sizes.n_heads,
        image_size=pictures.image_size,
        patch_size=pictures.image_size // pictures.side,
        hidden_act="quick_gelu",
    )


def tokenizer() -> Any:
    """The vocabulary as a transformers tokenizer: one id a word, words and signs apart.

    Raises:
        CourseError: transformers is not installed.
    """
    tf, tokenizers = _transformers(), importlib.import_module("tokenizers")
    words = Vocabulary()
    whole = tokenizers.Tokenizer(tokenizers.models.WordLevel(words.ids))
    whole.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=whole,
        pad_token="<pad>",
        bos_token="<start>",
        eos_token="<end>",
        extra_special_tokens={"image_token": "<image>"},
        clean_up_tokenization_spaces=False,
    )


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise CourseError(
            "This needs transformers, which is not installed; install it with `pip install transformers`."
        ) from None
