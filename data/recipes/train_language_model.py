"""Train the frozen language model from nothing: to answer from facts, given in words or in one token each.

    python data/recipes/train_language_model.py     about 20 minutes on one core

It never sees a picture. A row is a prefix that says what is in a scene, then eight questions that share it:

    fused  60 %  a row of `<image>` slots; a thing is ONE token in one slot, the sum of its five word
                 embeddings, with a little noise. A visual token carries all properties of a thing at once,
                 and this teaches the model to read such tokens.
    text   25 %  a caption in words.
    blind  15 %  `<image>` slots with nothing in them: then it can only guess, and it learns to guess well.
                 That is what makes the blind floor honest.

Loss on every word of a block: answers weigh 1, the words of the questions 0.2.
"""

import torch
import torch.nn.functional as F
from common import arguments, enter, ship, train
from einops import rearrange
from torch import Tensor, nn

from course_lib.language import LanguageModel, LanguageSizes, pack
from course_lib.microworld import (
    COLUMNS,
    KINDS,
    ROWS,
    Scene,
    Vocabulary,
    caption,
    draw_questions,
    draw_scenes,
)
from course_lib.microworld.blocks import Blocks, exact_match, question_blocks
from course_lib.microworld.draws import Draws

VOCABULARY = Vocabulary()
RECIPE = "data/recipes/train_language_model.py"
QUESTIONS = 8
SLOTS = (9, 9, 16, 36)  # a merged picture, twice as often; a Q-Former's queries; an unmerged picture
BLIND_SLOTS = (1, 1, 9, 16, 36)  # 1 is the lone tag of a picture that comes in through the layers
NOISE = 0.2  # sd of what is added to a fused token, in units of the embedding's root mean square


def picture_prefix(
    model: LanguageModel, scenes: list[Scene], slots: int, draws: Draws, noise: float, blind: bool = False
) -> tuple[Tensor, Tensor]:
    """`<image>` slots, some of which hold a thing: embeddings and which of them are real (all)."""
    words = model.model.embed_tokens.weight
    prefix = words[VOCABULARY.image_id].expand(len(scenes), slots, -1).clone()
    if not blind:
        places, bags = [], []
        for row, scene in enumerate(scenes):
            free = draws.sample(range(slots), len(scene.things))
            for thing, slot in zip(scene.things, free, strict=True):
                names = (thing.size, thing.colour, thing.shape, ROWS[thing.row], COLUMNS[thing.column])
                places.append((row, slot))
                bags.append([VOCABULARY.ids[name] for name in names])
        rows, columns = (list(side) for side in zip(*places, strict=True))
        prefix[rows, columns] = words[torch.tensor(bags)].sum(1)
        prefix = prefix + torch.randn_like(prefix) * (noise * words.detach().pow(2).mean().sqrt())
    return prefix, torch.ones(prefix.shape[:2], dtype=torch.bool)


def text_prefix(model: LanguageModel, scenes: list[Scene], seed: int) -> tuple[Tensor, Tensor]:
    """Captions as embeddings, and which of them are real."""
    texts = [caption(scene, seed) for scene in scenes]
    longest = max(len(text.split()) for text in texts)
    ids = torch.tensor(VOCABULARY.rows(texts, longest))
    return model.model.embed_tokens(ids), ids != VOCABULARY.pad_id


def blocks_of(scenes: list[Scene], seed: int) -> Blocks:
    """Eight questions about each scene."""
    return question_blocks([draw_questions(scene, QUESTIONS, seed) for scene in scenes], VOCABULARY)


def read(model: LanguageModel, prefix: Tensor, keep: Tensor, blocks: Blocks) -> Tensor:
    """Logits of every word of every block."""
    sees, positions = pack(keep, blocks.keep)
    words = rearrange(model.model.embed_tokens(blocks.ids), "b n k d -> b (n k) d")
    logits = model(torch.cat([prefix, words], dim=1), sees, positions)
    return rearrange(logits[:, prefix.shape[1] :], "b (n k) w -> b n k w", n=blocks.ids.shape[1])


def main() -> None:
    options = arguments("Train the micro-world's language model.", steps=4000)
    torch.manual_seed(options.seed)
    model = LanguageModel(LanguageSizes(len(VOCABULARY)))
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.06)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(1_000_000 * (options.seed + 1) + step)
        draws = Draws("language", options.seed, step)
        scenes = draw_scenes(32, "web", seed=2_000_000 * (options.seed + 1) + step)
        way = draws.below(20)
        if way < 5:
            prefix, keep = text_prefix(model, scenes, step)
        elif way < 8:
            prefix, keep = picture_prefix(model, scenes, draws.choose(BLIND_SLOTS), draws, 0, blind=True)
        else:
            prefix, keep = picture_prefix(model, scenes, draws.choose(SLOTS), draws, NOISE)
        blocks = blocks_of(scenes, step)
        logits = read(model, prefix, keep, blocks)[:, :, :-1]
        target = blocks.ids[:, :, 1:]
        weight = torch.where(blocks.is_answer, 1.0, 0.2)[:, :, 1:] * blocks.keep[:, :, 1:]
        losses = F.cross_entropy(
            rearrange(logits, "b n k w -> (b n k) w"), target.flatten(), reduction="none"
        )
        loss = (losses * weight.flatten()).sum() / weight.sum()
        right = exact_match(logits, blocks).float().mean().item() if step % 20 == 0 else 0.0
        return loss, {("text" if way < 5 else "blind" if way < 8 else "fused"): right}

    seconds = train(
        "language_model",
        model,
        loss_of_step,
        options.steps,
        options.seed,
        peak=2e-3,
        warm_up=100,
        clip=1.0,
        fresh=options.fresh,
        muon=True,
    )
    shipped = ship(model.state_dict(), options.out / "language_model.safetensors")
    model.load_state_dict(shipped)
    entry = {
        "what": "decoder language model of the micro-world",
        "licence": "CC0-1.0",
        "recipe": f"python {RECIPE} --steps {options.steps} --seed {options.seed}",
        "steps": options.steps,
        "seed": options.seed,
        "seconds": round(seconds),
        "parameters": {"language_model": sum(p.numel() for p in model.parameters())},
        "storage": "float16",
        "vocabulary_sha256": VOCABULARY.sha256,
        "metrics": measure(model),
    }
    enter(options.out, "language_model.safetensors", entry)


@torch.no_grad()
def measure(model: LanguageModel) -> dict[str, float]:
    """Exact match on scenes that no step drew, by how the facts are given."""
    model.eval()
    torch.manual_seed(7)
    figures: dict[str, float] = {}
    for split in ("new", "unseen"):
        scenes = draw_scenes(400, split, seed=7)
        questions = [
            draw_questions(scene, QUESTIONS, 7, pairs="unseen" if split == "unseen" else "all")
            for scene in scenes
        ]
        blocks = question_blocks(questions, VOCABULARY)
        ways = {
            "text": text_prefix(model, scenes, 7),
            "fused_9": picture_prefix(model, scenes, 9, Draws("measure"), 0),
            "fused_36": picture_prefix(model, scenes, 36, Draws("measure"), 0),
            "blind": picture_prefix(model, scenes, 1, Draws("measure"), 0, blind=True),
        }
        for way, (prefix, keep) in ways.items():
            right = exact_match(read(model, prefix, keep, blocks)[:, :, :-1], blocks)
            figures[f"{way}_{split}"] = right.float().mean().item()
            if way in ("fused_9", "blind") and split == "new":
                for kind in KINDS:
                    of_kind = torch.tensor([[question.kind == kind for question in row] for row in questions])
                    figures[f"{way}_{split}_{kind}"] = right[of_kind].float().mean().item()
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
