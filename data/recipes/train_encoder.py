"""Train the frozen encoder from nothing: CLIP with hard negatives, and region phrases from the first step.

    python data/recipes/train_encoder.py                        about 8 minutes on one core
    python data/recipes/train_encoder.py --which plain          CLIP as published, which is blind to positions
    python data/recipes/train_encoder.py --which no_regions     hard negatives, but no region phrases

Two losses, equally weighted:

global   InfoNCE between pictures and captions. Half of a batch is the other half's things moved to other
         cells, so a caption that forgets positions cannot find its picture.
region   for every thing, the mean of its cell's four penultimate patch tokens must find its own words among
         "a red thing" (6 colours), "a circle" or "a seven" (5 shapes, 10 digits) and "a small thing" (2
         sizes).

The region loss is told which thing lies in which cell. That is supervision closer to labels than CLIP ever
had (GLIP and RegionCLIP do likewise), and data/README.md says so. Without it, patch tokens hold a thing's
shape in a form that depends on its colour, and a bridge cannot read shapes of pairs it never met. The two
lesser encoders leave out one thing or both, and are shipped to show what that costs.

Half of the pictures have handwritten digits in them.
"""

from itertools import chain

import torch
import torch.nn.functional as F
from common import arguments, enter, ship, train
from einops import rearrange
from torch import Tensor, nn

from course_lib.backbones import ENCODERS
from course_lib.microworld import COLOURS, SHAPES, SIZES, Scene, Vocabulary, caption, draw_scenes, render_many
from course_lib.microworld.scenes import DIGITS
from course_lib.microworld.sentences import COLOUR_PHRASES, DIGIT_PHRASES, SHAPE_PHRASES, SIZE_PHRASES
from course_lib.showcase import fit_probe, things_of
from course_lib.vision import (
    ContrastiveModel,
    TextTower,
    TowerSizes,
    VisionTower,
    contrastive_loss,
    to_pixels,
)
from course_lib.world import Album

MOST_WORDS = 32
PROPERTIES = {
    "colour": (COLOURS, COLOUR_PHRASES),
    "shape": (SHAPES + DIGITS, SHAPE_PHRASES + DIGIT_PHRASES),
    "size": (SIZES, SIZE_PHRASES),
}
VOCABULARY = Vocabulary()
BATCH = 128
STEPS = {"best": 1200, "plain": 500, "no_regions": 1000}
# With Muon, or with more steps, plain CLIP finds positions too: now and then a batch has two scenes that
# differ in nothing else. AdamW stops short of that, as the published models do.
WITH_MUON = {"best": True, "plain": False, "no_regions": True}
HAS_MOVED = {"best": True, "plain": False, "no_regions": True}
HAS_REGIONS = {"best": True, "plain": False, "no_regions": False}
# What is shipped of each, to keep all of them small: no lesson asks the last one about captions.
KEPT = {"best": "", "plain": "clip.", "no_regions": "clip.vision_model."}


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


def pixels_of(scenes: list[Scene]) -> Tensor:
    """Pictures as the encoder reads them."""
    return to_pixels(torch.from_numpy(render_many(scenes)))


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
    options = arguments("Train the micro-world's encoder.", STEPS)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    pupil = Pupil().to(device)
    moved, regions = HAS_MOVED[options.which], HAS_REGIONS[options.which]

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        seed = 1_000_000 * (options.seed + 1) + step
        n = BATCH // 2 if moved else BATCH
        scenes = draw_scenes(n - n // 2, "web", seed) + draw_scenes(n // 2, "web", seed, digits=True)
        if moved:
            scenes += [scene.moved(step) for scene in scenes]
        states = pupil.clip.vision_model.hidden_states(pixels_of(scenes).to(device))
        pooled = pupil.clip.vision_model.post_layernorm(states[-1][:, 0])
        pictures = F.normalize(pupil.clip.visual_projection(pooled), dim=-1)
        captions = pupil.clip.encode_sentences(ids([caption(scene, step) for scene in scenes]).to(device))
        loss = contrastive_loss(captions @ pictures.T * pupil.clip.logit_scale.exp())
        shown = {"global": loss.item()}
        if regions:
            phrases = pupil.clip.encode_sentences(ids(all_phrases()).to(device))
            logits = region_logits(pupil, states, scenes, phrases)
            right = {name: truth(scenes, name).to(device) for name in PROPERTIES}
            region = sum((F.cross_entropy(logits[name], right[name]) for name in PROPERTIES), torch.zeros(()))
            loss = loss + region
            found = (logits["shape"].argmax(1) == right["shape"]).float().mean()
            shown |= {"region": region.item(), "shape": found.item()}
        return loss, shown

    steps = options.steps
    name = ENCODERS[options.which.replace("_", " ")]
    seconds = train(name, pupil, loss_of_step, options, peak=1e-3, warm_up=50, muon=WITH_MUON[options.which])
    kept = {key: value for key, value in pupil.state_dict().items() if key.startswith(KEPT[options.which])}
    pupil.load_state_dict(ship(kept, options.out / name), strict=regions)
    pupil.cpu()
    parts = {"vision_tower": pupil.clip.vision_model, "text_tower": pupil.clip.text_model}
    what = {
        "best": "CLIP of the micro-world: vision tower, text tower and region head",
        "plain": "a lesser CLIP: captions and pictures only, no hard negatives, no region phrases",
        "no_regions": "a lesser CLIP: moved scenes as hard negatives, no region phrases",
    }
    entry = {
        "what": what[options.which],
        "licence": "CC0-1.0",
        "recipe": f"python data/recipes/train_encoder.py --which {options.which} --steps {steps} "
        f"--seed {options.seed}",
        "steps": steps,
        "seed": options.seed,
        "seconds": round(seconds),
        "parameters": {part: sum(p.numel() for p in module.parameters()) for part, module in parts.items()},
        "storage": "float16",
        "vocabulary_sha256": VOCABULARY.sha256,
        "metrics": measure(pupil, set(kept)),
    }
    enter(options.out, name, entry)


@torch.no_grad()
def measure(pupil: Pupil, held: set[str]) -> dict[str, float]:
    """Figures on scenes that no step drew, of the parts with parameters in `held`; see the model card."""
    pupil.eval()
    figures = probed(pupil.clip.vision_model)
    regions = "region_scale" in held
    if "clip.logit_scale" not in held:
        return {name: round(value, 4) for name, value in figures.items()}
    phrases = pupil.clip.encode_sentences(ids(all_phrases()))
    for split in ("new", "unseen"):
        scenes = draw_scenes(512, split, seed=7)
        states = pupil.clip.vision_model.hidden_states(pixels_of(scenes))
        if regions:
            for name, logits in region_logits(pupil, states, scenes, phrases).items():
                figures[f"region_{name}_{split}"] = (
                    (logits.argmax(1) == truth(scenes, name)).float().mean().item()
                )
        logits = pupil.clip(pixels_of(scenes[:256]), ids([caption(scene) for scene in scenes[:256]]))
        figures[f"caption_finds_picture_of_256_{split}"] = (
            (logits.argmax(1) == torch.arange(256)).float().mean().item()
        )
    if regions:
        scenes = draw_scenes(512, "new", seed=7, digits=True)
        states = pupil.clip.vision_model.hidden_states(pixels_of(scenes))
        digit = torch.tensor([thing.is_digit for scene in scenes for thing in scene.things])
        right = region_logits(pupil, states, scenes, phrases)["shape"].argmax(1) == truth(scenes, "shape")
        figures["region_digit_in_new_handwriting"] = right[digit].float().mean().item()
    scenes = draw_scenes(256, "new", seed=8)
    moved = [scene.moved(0) for scene in scenes]
    captions = pupil.clip.encode_sentences(ids([caption(scene) for scene in scenes]))
    own, other = ((captions * pupil.clip.encode_pictures(pixels_of(side))).sum(1) for side in (scenes, moved))
    figures["caption_prefers_its_picture_to_the_moved_one"] = (own > other).float().mean().item()
    return {name: round(value, 4) for name, value in figures.items()}


def probed(vision: VisionTower) -> dict[str, float]:
    """How often a linear probe on penultimate patch tokens names the shape, of pairs it met and of others."""

    def things(count: int, split: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scenes = draw_scenes(count, split, seed=7)
        pictures = render_many(scenes)
        tokens = vision.patch_tokens(to_pixels(torch.from_numpy(pictures)))
        return things_of(Album(split, scenes, pictures, F.layer_norm(tokens, tokens.shape[-1:])))

    train, new, unseen = things(1500, "train"), things(400, "new"), things(400, "unseen")
    with torch.enable_grad():
        probe = fit_probe(train[0], train[1], len(SHAPES))
    seen = (probe(new[0]).argmax(1) == new[1]).float().mean().item()
    asked = unseen[3]
    other = (probe(unseen[0][asked]).argmax(1) == unseen[1][asked]).float().mean().item()
    return {"probe_shape_of_seen_pairs": seen, "probe_shape_of_unseen_pairs": other}


if __name__ == "__main__":
    main()
