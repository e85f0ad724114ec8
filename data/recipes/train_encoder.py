"""Train the frozen encoder from nothing: CLIP with hard negatives, and region phrases from the first step.

    python data/recipes/train_encoder.py            about 7 minutes on one core

Two losses, equally weighted:

global   InfoNCE between pictures and captions. Half of a batch is the other half's things moved to other
cells, so a
         caption that forgets positions cannot find its picture.
region   for every thing, the mean of its cell's four penultimate patch tokens must find its own words among
         "a red thing" (6 colours), "a circle" (5 shapes) and "a small thing" (2 sizes).

The region loss is told which thing lies in which cell. That is supervision closer to labels than CLIP ever
had (GLIP and RegionCLIP do likewise), and data/README.md says so. Without it, patch tokens hold a thing's
shape in a form that depends on its colour, and a bridge cannot read shapes of pairs it never met.
"""

from itertools import chain

import torch
import torch.nn.functional as F
from common import arguments, enter, ship, train
from einops import rearrange
from torch import Tensor, nn

from course_lib.microworld import COLOURS, SHAPES, SIZES, Scene, Vocabulary, caption, draw_scenes, render_many
from course_lib.microworld.sentences import COLOUR_PHRASES, SHAPE_PHRASES, SIZE_PHRASES
from course_lib.vision import (
    ContrastiveModel,
    TextTower,
    TowerSizes,
    VisionTower,
    contrastive_loss,
    to_pixels,
)

MOST_WORDS = 32
PROPERTIES = {
    "colour": (COLOURS, COLOUR_PHRASES),
    "shape": (SHAPES, SHAPE_PHRASES),
    "size": (SIZES, SIZE_PHRASES),
}
VOCABULARY = Vocabulary()


class Pupil(nn.Module):
    """The contrastive model, and the head that brings a region into the shared space."""

    def __init__(self) -> None:
        super().__init__()
        sizes, text_sizes = TowerSizes(), TowerSizes(n_layers=2)
        text = TextTower(text_sizes, len(VOCABULARY), MOST_WORDS, VOCABULARY.end_id)
        self.clip = ContrastiveModel(VisionTower(sizes), text)
        self.clip.logit_scale.data.fill_(2.3)
        self.region_projection = nn.Linear(sizes.d_model, 128, bias=False)
        self.region_scale = nn.Parameter(torch.tensor(2.3))

    def regions(self, states: list[Tensor], scenes: list[Scene]) -> Tensor:
        """Unit vectors of all things of all scenes, one after another."""
        patches = F.layer_norm(states[-2][:, 1:], states[-2].shape[-1:])
        cells = rearrange(patches, "b (y i x j) d -> b (y x) (i j) d", y=3, i=2, x=3, j=2).mean(2)
        index = [(row, thing.cell) for row, scene in enumerate(scenes) for thing in scene.things]
        rows, columns = (list(side) for side in zip(*index, strict=True))
        return F.normalize(self.region_projection(cells[rows, columns]), dim=-1)


def ids(sentences: list[str]) -> Tensor:
    """Sentences as rows for the text tower."""
    longest = max(len(sentence.split()) for sentence in sentences) + 2
    return torch.tensor(VOCABULARY.rows([f"<start> {sentence} <end>" for sentence in sentences], longest))


def region_logits(
    pupil: Pupil, states: list[Tensor], scenes: list[Scene], phrases: Tensor
) -> dict[str, Tensor]:
    """How well each thing fits each phrase, property by property."""
    logits = pupil.regions(states, scenes) @ phrases.T * pupil.region_scale.exp()
    parts = logits.split([len(words) for words, _ in PROPERTIES.values()], dim=1)
    return dict(zip(PROPERTIES, parts, strict=True))


def truth(scenes: list[Scene], name: str) -> Tensor:
    """The right phrase of each thing."""
    words = PROPERTIES[name][0]
    return torch.tensor([words.index(getattr(thing, name)) for scene in scenes for thing in scene.things])


def all_phrases() -> list[str]:
    """Colour phrases, shape phrases, size phrases."""
    return list(chain.from_iterable(phrases for _, phrases in PROPERTIES.values()))


def main() -> None:
    options = arguments("Train the micro-world's encoder.", steps=800)
    torch.manual_seed(options.seed)
    pupil = Pupil()

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        scenes = draw_scenes(64, "web", seed=1_000_000 * (options.seed + 1) + step)
        scenes += [scene.moved(step) for scene in scenes]
        states = pupil.clip.vision_model.hidden_states(to_pixels(torch.from_numpy(render_many(scenes))))
        pooled = pupil.clip.vision_model.post_layernorm(states[-1][:, 0])
        pictures = F.normalize(pupil.clip.visual_projection(pooled), dim=-1)
        captions = pupil.clip.encode_sentences(ids([caption(scene, step) for scene in scenes]))
        phrases = pupil.clip.encode_sentences(ids(all_phrases()))
        whole = contrastive_loss(captions @ pictures.T * pupil.clip.logit_scale.exp())
        logits = region_logits(pupil, states, scenes, phrases)
        region = sum(
            (F.cross_entropy(logits[name], truth(scenes, name)) for name in PROPERTIES), torch.zeros(())
        )
        right = (logits["shape"].argmax(1) == truth(scenes, "shape")).float().mean()
        return whole + region, {"global": whole.item(), "region": region.item(), "shape": right.item()}

    seconds = train("encoder", pupil, loss_of_step, options.steps, options.seed, 1e-3, 50, 1.0, options.fresh)
    shipped = ship(pupil.state_dict(), options.out / "encoder.safetensors")
    pupil.load_state_dict(shipped)
    vision = pupil.clip.vision_model
    entry = {
        "what": "CLIP of the micro-world: vision tower, text tower and region head",
        "licence": "CC0-1.0",
        "recipe": f"python data/recipes/train_encoder.py --steps {options.steps} --seed {options.seed}",
        "steps": options.steps,
        "seed": options.seed,
        "seconds": round(seconds),
        "parameters": {
            "vision_tower": sum(p.numel() for p in vision.parameters()),
            "text_tower": sum(p.numel() for p in pupil.clip.text_model.parameters()),
        },
        "storage": "float16",
        "vocabulary_sha256": VOCABULARY.sha256,
        "metrics": measure(pupil),
    }
    enter(options.out, "encoder.safetensors", entry)


@torch.no_grad()
def measure(pupil: Pupil) -> dict[str, float]:
    """Figures on scenes that no step drew; the model card explains each."""
    pupil.eval()
    figures: dict[str, float] = {}
    phrases = pupil.clip.encode_sentences(ids(all_phrases()))
    for split in ("new", "unseen"):
        scenes = draw_scenes(512, split, seed=7)
        pixels = to_pixels(torch.from_numpy(render_many(scenes)))
        states = pupil.clip.vision_model.hidden_states(pixels)
        for name, logits in region_logits(pupil, states, scenes, phrases).items():
            figures[f"region_{name}_{split}"] = (
                (logits.argmax(1) == truth(scenes, name)).float().mean().item()
            )
        logits = pupil.clip(pixels[:256], ids([caption(scene) for scene in scenes[:256]]))
        figures[f"caption_finds_picture_of_256_{split}"] = (
            (logits.argmax(1) == torch.arange(256)).float().mean().item()
        )
    scenes = draw_scenes(256, "new", seed=8)
    moved = [scene.moved(0) for scene in scenes]
    captions = pupil.clip.encode_sentences(ids([caption(scene) for scene in scenes]))
    own, other = (
        (captions * pupil.clip.encode_pictures(to_pixels(torch.from_numpy(render_many(side))))).sum(1)
        for side in (scenes, moved)
    )
    figures["caption_prefers_its_picture_to_the_moved_one"] = (own > other).float().mean().item()
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
