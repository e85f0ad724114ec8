"""The two frozen models the course ships, loaded from bytes that are known.

A backbone is loaded only if its file has the hash that `manifest.json` names, and its vocabulary is
today's. Anything else is an error that says what to do. Nothing ever falls back to random weights.

Beside the two that a bridge stands between, `lesser` ones come along, each missing one thing on purpose: what
a lesson says about that thing can then be seen by leaving it out.
"""

from pathlib import Path

from torch import Tensor, nn

from course_lib import shipped
from course_lib.errors import CourseError, DataError
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.microworld import Vocabulary
from course_lib.vision import ContrastiveModel, TextTower, TowerSizes, VisionTower

ENCODERS = {
    "best": "encoder.safetensors",
    "plain": "encoder_plain.safetensors",  # CLIP as published: captions and pictures, nothing else
    "no regions": "encoder_no_regions.safetensors",  # moved scenes as hard negatives, but no region phrases
}
LANGUAGE_MODELS = {
    "best": "language_model.safetensors",
    "text only": "language_model_text.safetensors",  # facts in words only, never a whole thing in one token
    "direct": "language_model_direct.safetensors",  # relations as yes or no from the first step
}
_MOST_WORDS = 32  # of a caption, in the shipped text tower


def verified(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of one shipped file, in float32.

    Raises:
        DataError: the file is missing, has another hash than the manifest says, or was trained on other
        words.
    """
    held = shipped.tensors(name, folder)
    entry = shipped.manifest(folder)[name]
    if entry["vocabulary_sha256"] != Vocabulary().sha256:
        raise DataError(
            f"{name} was trained on another list of words than course_lib has now "
            f"({len(Vocabulary())} words); install the course_lib it came with, "
            f"or make it again with {shipped.recipe(name)}."
        )
    return {key: tensor.float() for key, tensor in held.items()}


def _freeze(model: nn.Module) -> None:
    model.requires_grad_(False).eval()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _file(files: dict[str, str], which: str) -> str:
    if which not in files:
        raise CourseError(f"There is no backbone {which!r}; choose one of {', '.join(files)}.")
    return files[which]


def load_encoder(folder: Path | None = None, which: str = "best") -> VisionTower:
    """The frozen ViT: 48 x 48 pixels, patches of 8, width 128.

    Args:
        which: "best", or one of the lesser ones in `ENCODERS`.

    Raises:
        DataError: see `verified`.
        CourseError: there is no such encoder.
    """
    tower = VisionTower(TowerSizes())
    held = verified(_file(ENCODERS, which), folder)
    tower.load_state_dict(_part(held, "clip.vision_model."))
    _freeze(tower)
    return tower


def load_contrastive(folder: Path | None = None, which: str = "best") -> ContrastiveModel:
    """The frozen ViT together with the text tower it was trained with, for zero-shot exhibits.

    Args:
        which: "best", or one of the lesser ones in `ENCODERS`.

    Raises:
        DataError: see `verified`.
        CourseError: there is no such encoder, or it ships without its text tower.
    """
    held = _part(verified(_file(ENCODERS, which), folder), "clip.")
    if "logit_scale" not in held:
        raise CourseError(f"The encoder {which!r} ships without its text tower; take best or plain.")
    words = Vocabulary()
    text = TextTower(TowerSizes(n_layers=2), len(words), _MOST_WORDS, words.end_id)
    model = ContrastiveModel(VisionTower(TowerSizes()), text)
    model.load_state_dict(held)
    _freeze(model)
    return model


def load_language_model(folder: Path | None = None, which: str = "best") -> LanguageModel:
    """The frozen decoder; it answers questions and has never seen a picture.

    Args:
        which: "best", or one of the lesser ones in `LANGUAGE_MODELS`.

    Raises:
        DataError: see `verified`.
        CourseError: there is no such language model.
    """
    model = LanguageModel(LanguageSizes(len(Vocabulary())))
    model.load_state_dict(verified(_file(LANGUAGE_MODELS, which), folder))
    _freeze(model)
    return model


def load_vocabulary() -> Vocabulary:
    """The words that both backbones know."""
    return Vocabulary()
