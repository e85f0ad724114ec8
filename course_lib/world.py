"""The frozen pieces and the pictures to train and test a bridge on, all in one place.

    world = MicroWorld.load()
    world.language_model, world.train.pictures, world.train.features

The encoder looks at every picture once, and what it sees is kept: it is frozen, so it would never see
anything else. A training step then reads tokens from memory and pays for the bridge and the language model
alone.

Axes in this file:
    b  pictures    v  patch tokens    d  their width    y x c  rows, columns, colours of a picture
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from course_lib.backbones import load_encoder, load_language_model
from course_lib.errors import CourseError
from course_lib.language import LanguageModel
from course_lib.microworld import Scene, Vocabulary, draw_scenes, render_many
from course_lib.microworld.draws import key
from course_lib.vision import TowerSizes, VisionTower, to_pixels

OUTPUT_SCALE = 1.7  # times the root mean square of the language model's embedding
UNTRAINED = "untrained"  # an encoder as it was drawn: a control


@dataclass(frozen=True)
class Album:
    """Scenes of one split with their pictures and what the encoder makes of them.

    Shapes:
        pictures  uint8[b 48 48 3]
        features  float[b 36 128]   layer-normed patch tokens of the penultimate layer
    """

    split: str
    scenes: list[Scene]
    pictures: UInt8[np.ndarray, "b y x c"]
    features: Float[Tensor, "b v d"]


@dataclass(frozen=True, eq=False)
class MicroWorld:
    """The frozen pieces and the pictures to train and test a bridge on. Get it with `MicroWorld.load()`."""

    encoder: VisionTower
    language_model: LanguageModel
    vocabulary: Vocabulary
    train: Album
    new: Album
    unseen: Album
    elsewhere: Album
    layer: int = -2

    @classmethod
    def load(
        cls,
        n_scenes: int = 4000,
        n_test: int = 400,
        seed: int = 0,
        *,
        encoder: str = "best",
        language_model: str = "best",
        digits: bool = False,
        layer: int = -2,
    ) -> "MicroWorld":
        """Load the backbones, draw the scenes and let the encoder look at them once.

        The second call with the same numbers is free.

        Args:
            n_scenes: training scenes. 4000 take about five seconds.
            n_test: scenes of each test split.
            seed: of the training scenes. Test scenes are always the same.
            encoder, language_model: which ones; see `course_lib.backbones`. The encoder may also be
                "untrained", drawn at random and never taught: a control, never a fallback.
            digits: scenes with handwritten digits.
            layer: whose patch tokens a bridge reads; -2 is the penultimate, -1 the last.

        Raises:
            DataError: a backbone is missing or is not the one the manifest names.
            CourseError: there is no such backbone.
        """
        return _load(n_scenes, n_test, seed, encoder, language_model, digits, layer)

    @property
    def d_visual(self) -> int:
        """Width of one patch token, before merging."""
        return self.encoder.sizes.d_model

    @property
    def d_text(self) -> int:
        """Width of one word embedding of the language model."""
        return self.language_model.sizes.d_model

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return (self.encoder.embeddings.side, self.encoder.embeddings.side)

    @property
    def output_scale(self) -> float:
        """What a bridge's output is multiplied by before the language model reads it."""
        return OUTPUT_SCALE * self.language_model.model.embed_tokens.weight.pow(2).mean().sqrt().item()

    def features(self, pictures: UInt8[np.ndarray, "b y x c"]) -> Float[Tensor, "b v d"]:
        """Layer-normed patch tokens of the world's layer."""
        return _look(self.encoder, pictures, self.layer)

    def album(self, split: str) -> Album:
        """The album of "train", "new", "unseen" or "elsewhere"."""
        albums = {album.split: album for album in (self.train, self.new, self.unseen, self.elsewhere)}
        if split not in albums:
            raise CourseError(f"There is no album {split!r}; choose one of {', '.join(albums)}.")
        return albums[split]


@torch.no_grad()
def _look(encoder: VisionTower, pictures: UInt8[np.ndarray, "b y x c"], layer: int) -> Float[Tensor, "b v d"]:
    looks = [
        encoder.patch_tokens(to_pixels(torch.from_numpy(part)), layer)
        for part in np.array_split(pictures, max(1, len(pictures) // 250))
    ]
    tokens = torch.cat(looks)
    return F.layer_norm(tokens, tokens.shape[-1:])


@cache
def _load(
    n_scenes: int, n_test: int, seed: int, which: str, language_model: str, digits: bool, layer: int
) -> MicroWorld:
    encoder = _untrained() if which == UNTRAINED else load_encoder(which=which)

    def album(split: str, count: int, seed: int) -> Album:
        scenes = draw_scenes(count, split, seed, digits)
        pictures = render_many(scenes)
        return Album(split, scenes, pictures, _look(encoder, pictures, layer))

    return MicroWorld(
        encoder=encoder,
        language_model=load_language_model(which=language_model),
        vocabulary=Vocabulary(),
        train=album("train", n_scenes, key("bridge", seed)),
        new=album("new", n_test, 0),
        unseen=album("unseen", n_test, 0),
        elsewhere=album("elsewhere", n_test, 0),
        layer=layer,
    )


def _untrained() -> VisionTower:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = VisionTower(TowerSizes())
    tower.requires_grad_(False).eval()
    return tower
