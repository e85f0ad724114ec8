"""Train the frozen language model from nothing. It never sees a picture.

    python data/recipes/train_language_model.py                     about 50 minutes on one core
    python data/recipes/train_language_model.py --which text        a lesser one: facts in words only
    python data/recipes/train_language_model.py --which direct      a lesser one: no steps for relations

Two runs, one after the other. The first, on facts, is answering alone, with the six simple kinds of question.
The second starts where the first ended and adds relations, digits, and binding, which takes turns with
answering. All at once from the start, it learned each of them badly: what binds is built on what finds facts.

Answering. A prefix says what is in a scene, then eight questions share it and do not see each other:

    fused  60 %  a row of `<image>` slots; a thing is ONE token in one slot, the sum of its five word
                 embeddings, roughened. A visual token carries all properties of a thing at once, and this
                 teaches the model to read such tokens.
    text   25 %  a caption in words.
    blind  15 %  `<image>` slots with nothing in them: then it can only guess, and it learns to guess well.
                 That is what makes the blind floor honest.

A relation is answered in two steps ("left right yes"), because a bare yes or no teaches nothing until both
places are fetched. The `direct` kind of question begins with the two steps too; they are phased out in the
middle of the second run. The lesser model `direct` never gets steps. It is slower to learn: .90 after 800
steps of nothing harder.

Binding: what goes with what, in one row, with made-up words drawn afresh for each row. It comes in four
stages, for the last one alone is not learned:

    words      red dax ring wug red dax ...                     keys are words
    tokens     [a fused token] dax ...                          keys are things, one property of which counts
    asking     [a fused token] this ? dax ...
    pictures   [nine slots with the thing in one] this ? dax <end> ...

In the second run a fused token is roughened in three ways, each by a random amount for each row: it is longer
or shorter than it should be, a random linear map of small size is added to the identity, and noise is added
to every slot. No bridge hits the sum of five embeddings exactly, and counting breaks first when tokens are a
little off.

Loss on every word of a question's block, answers weighing 1 and the words of questions 0.2; and on every
made-up word whose key has come before.
"""

import argparse

import torch
import torch.nn.functional as F
from common import arguments, enter, ship, train
from einops import rearrange
from torch import Tensor

from course_lib.backbones import LANGUAGE_MODELS
from course_lib.errors import CourseError
from course_lib.language import LanguageModel, LanguageSizes, read_blocks
from course_lib.microworld import (
    COLOURS,
    COLUMNS,
    GRID,
    KINDS,
    ROWS,
    SHAPES,
    SIZES,
    Question,
    Scene,
    Thing,
    Vocabulary,
    caption,
    draw_questions,
    draw_scenes,
)
from course_lib.microworld.blocks import Blocks, exact_match, question_blocks
from course_lib.microworld.draws import Draws
from course_lib.microworld.episodes import ASKED, BINDINGS, MOST_WORDS, Episode, draw_episode
from course_lib.microworld.scenes import DIGITS
from course_lib.microworld.sentences import fused_words
from course_lib.microworld.vocabulary import MADE_UP

VOCABULARY = Vocabulary()
QUESTIONS = 8
SLOTS = (9, 9, 16, 36)  # a merged picture, twice as often; a Q-Former's queries; an unmerged picture
BLIND_SLOTS = (1, 1, 9, 16, 36)  # 1 is the lone tag of a picture that comes in through the layers
NOISE = 0.6  # most sd of what is added to a slot, in units of the embedding's root mean square
STRETCH = 0.4  # a fused token is up to so much longer or shorter
BEND = 0.4  # most size of the random linear map, relative to the identity's
FACTS_STEPS, FACTS_NOISE = 4000, 0.2  # the first run
STEPS = {"best": 3300, "text": 1500, "direct": 300}  # "text" has one run; the others, after the first one
PHASING = (0.35, 0.7)  # shares of the run between which `direct` questions lose their two steps
BINDING_EVERY = 3
STAGES = {"words": 0.1, "tokens": 0.15, "asking": 0.25, "pictures": 0.5}  # shares of the binding steps
PAIRS = 8  # examples in a row of the binding task


def picture_prefix(
    model: LanguageModel,
    scenes: list[Scene],
    slots: int,
    draws: Draws,
    noise: float,
    blind: bool = False,
    shape: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """`<image>` slots, some of which hold a thing: embeddings and which of them are real (all)."""
    words = model.model.embed_tokens.weight
    prefix = words[VOCABULARY.image_id].expand(len(scenes), slots, -1).clone()
    if not blind:
        places, bags = [], []
        for row, scene in enumerate(scenes):
            free = draws.sample(range(slots), len(scene.things))
            for thing, slot in zip(scene.things, free, strict=True):
                places.append((row, slot))
                bags.append(bag(thing))
        rows, columns = (list(side) for side in zip(*places, strict=True))
        prefix[rows, columns] = words[torch.tensor(bags, device=words.device)].sum(1)
    if noise:
        prefix = roughened(prefix, words, noise, shape)
    return prefix, torch.ones(prefix.shape[:2], dtype=torch.bool, device=words.device)


def roughened(tokens: Tensor, words: Tensor, noise: float, shape: float = 1.0) -> Tensor:
    """Tokens b n d that are off in the three ways a bridge's are off; with `shape` 0, by noise alone."""
    batch, _, width = tokens.shape
    amount = torch.rand(3, batch, 1, 1, device=tokens.device)
    stretch = 1 + shape * STRETCH * amount[0] * (
        2 * torch.rand(*tokens.shape[:2], 1, device=tokens.device) - 1
    )
    bend = shape * BEND * amount[1] * torch.randn(batch, width, width, device=tokens.device) * width**-0.5
    size = noise * amount[2] * words.detach().pow(2).mean().sqrt()
    return tokens * stretch + tokens @ bend + torch.randn_like(tokens) * size


def bag(thing: Thing) -> list[int]:
    """The five words of a thing whose embeddings are summed."""
    return [VOCABULARY.ids[name] for name in fused_words(thing)]


def text_prefix(model: LanguageModel, scenes: list[Scene], seed: int) -> tuple[Tensor, Tensor]:
    """Captions as embeddings, and which of them are real."""
    texts = [caption(scene, seed) for scene in scenes]
    longest = max(len(text.split()) for text in texts)
    ids = torch.tensor(VOCABULARY.rows(texts, longest), device=model.model.embed_tokens.weight.device)
    return model.model.embed_tokens(ids), ids != VOCABULARY.pad_id


def read(model: LanguageModel, prefix: Tensor, keep: Tensor, blocks: Blocks) -> Tensor:
    """Logits of every word of every block."""
    return read_blocks(model, prefix, keep, blocks.ids, blocks.keep)


# -- answering -------------------------------------------------------------------------------------------


def kinds_for(which: str, digits: bool) -> tuple[str, ...]:
    """The kinds of question one scene is asked; relations and counts, which take longest, twice as often."""
    kinds = (*KINDS, "count") if which == "text" else (*KINDS, "count", "direct", "direct")
    if which == "best":
        kinds = (*kinds, "relation", "relation")
    return (*kinds, "digit", "digit") if digits else kinds


def steps_shown(options: argparse.Namespace, step: int) -> float:
    """The chance that a `direct` question is answered with its two steps first."""
    if options.which != "best":
        return 0.0
    start, end = (share * options.steps for share in PHASING)
    return min(max((end - step) / (end - start), 0.0), 1.0)


def with_steps(question: Question, scene: Scene, draws: Draws, chance: float) -> Question:
    """A `direct` question, sometimes with the two steps before its verdict."""
    if question.kind != "direct" or draws.below(1000) >= 1000 * chance:
        return question
    words = question.text.removesuffix(" ?").split()
    cut = next(n for n, word in enumerate(words) if word in ("left", "right", "above", "below"))
    names = [words[2:cut], words[words.index("the", cut) + 1 :]]
    axis = "row" if words[cut] in ("above", "below") else "column"
    where = []
    for name in names:
        (thing,) = [t for t in scene.things if set(name) <= {t.size, t.colour, t.shape, "thing"}]
        where.append((COLUMNS if axis == "column" else ROWS)[getattr(thing, axis)])
    return Question("direct", question.text, f"{where[0]} {where[1]} {question.answer}")


def answering_loss(
    model: LanguageModel, options: argparse.Namespace, step: int, device: torch.device, facts: bool
) -> tuple[Tensor, dict[str, float]]:
    """One batch of 32 scenes with eight questions each; of the first run with `facts`, else of the second."""
    draws = Draws("language" if facts else "language again", options.seed, step)
    seed = (2_000_000 if facts else 3_000_000) * (options.seed + 1) + step
    simple = 32 if facts else 24
    scenes = draw_scenes(simple, "web", seed) + draw_scenes(32 - simple, "web", seed, digits=True)
    noise, shape = (FACTS_NOISE, 0.0) if facts else (NOISE, 1.0)
    way = draws.below(20)
    if options.which == "text" and way >= 8:
        way = 0
    if way < 5:
        prefix, keep = text_prefix(model, scenes, step)
    elif way < 8:
        prefix, keep = picture_prefix(
            model, scenes, draws.choose(BLIND_SLOTS), draws, noise, blind=True, shape=0
        )
    else:
        prefix, keep = picture_prefix(model, scenes, draws.choose(SLOTS), draws, noise, shape=shape)
    chance = steps_shown(options, step)
    asked = []
    for n, scene in enumerate(scenes):
        kinds = KINDS if facts else kinds_for(options.which, n >= simple)
        questions = draw_questions(scene, QUESTIONS, step, kinds=kinds)
        asked.append([with_steps(question, scene, draws, chance) for question in questions])
    blocks = question_blocks(asked, VOCABULARY)
    blocks = Blocks(blocks.ids.to(device), blocks.keep.to(device), blocks.is_answer.to(device))
    logits = read(model, prefix, keep, blocks)[:, :, :-1]
    target = blocks.ids[:, :, 1:]
    weight = torch.where(blocks.is_answer, 1.0, 0.2)[:, :, 1:] * blocks.keep[:, :, 1:]
    losses = F.cross_entropy(rearrange(logits, "b n k w -> (b n k) w"), target.flatten(), reduction="none")
    loss = (losses * weight.flatten()).sum() / weight.sum()
    right = exact_match(logits, blocks).float().mean().item() if step % 20 == 0 else 0.0
    return loss, {("text" if way < 5 else "blind" if way < 8 else "fused"): right}


# -- binding ---------------------------------------------------------------------------------------------


def stage_of(done: float) -> str:
    """The stage of the binding task when this share of its steps is done; now and then an earlier one."""
    for stage, share in STAGES.items():
        if done < share:
            return stage
        done -= share
    return "pictures"


def binding_row(model: LanguageModel, stage: str, draws: Draws) -> tuple[list[int | list[int]], list[int]]:
    """What stands at each place of a row (a word, or a bag of words to sum), and where loss counts."""
    by = draws.choose(BINDINGS)
    n_words = 2 + draws.below(MOST_WORDS - 1)
    values = draws.sample(
        COLOURS + SHAPES if stage == "words" else COLOURS if by == "colour" else SHAPES, n_words
    )
    words = dict(zip(values, draws.sample(MADE_UP, n_words), strict=True))
    row: list[int | list[int]] = []
    counts: list[int] = []
    met: set[str] = set()
    for _ in range(PAIRS):
        value = draws.choose(values)
        word = VOCABULARY.ids[words[value]]
        if stage == "words":
            row.append(VOCABULARY.ids[value])
        else:
            other = draws.choose(SHAPES if by == "colour" else COLOURS)
            colour, shape = (value, other) if by == "colour" else (other, value)
            thing = Thing(draws.choose(SIZES), colour, shape, draws.below(GRID), draws.below(GRID))
            if stage == "pictures":
                slots: list[int | list[int]] = [VOCABULARY.image_id] * (GRID * GRID)
                slots[thing.cell] = bag(thing)
                row += slots
            else:
                row.append(bag(thing))
            if stage != "tokens":
                row += VOCABULARY.encode(ASKED)
        if value in met:
            counts.append(len(row))
        met.add(value)
        row.append(word)
        if stage == "pictures":
            row.append(VOCABULARY.end_id)
    return row, counts


def embedded(
    model: LanguageModel, rows: list[list[int | list[int]]], noise: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of one length as embeddings (bags roughened, words not), which are real (all), and positions."""
    words = model.model.embed_tokens.weight
    bags = [[place if isinstance(place, list) else [place] for place in row] for row in rows]
    width = max(len(bag) for row in bags for bag in row)
    ids = torch.tensor([[bag + [0] * (width - len(bag)) for bag in row] for row in bags], device=words.device)
    real = torch.tensor(
        [[[True] * len(bag) + [False] * (width - len(bag)) for bag in row] for row in bags],
        device=words.device,
    )
    embeds = (words[ids] * real[..., None]).sum(2)
    if noise:
        slots = (real.sum(2) > 1) | (ids[..., 0] == VOCABULARY.image_id)
        embeds = torch.where(slots[..., None], roughened(embeds, words, noise), embeds)
    keep = torch.ones(embeds.shape[:2], dtype=torch.bool, device=words.device)
    positions = torch.arange(embeds.shape[1], device=words.device).expand(len(rows), -1)
    return embeds, keep, positions


def binding_loss(
    model: LanguageModel, options: argparse.Namespace, step: int, done: float
) -> tuple[Tensor, dict[str, float]]:
    """One batch of 32 rows of the stage that it is time for."""
    draws = Draws("binding", options.seed, step)
    stage = stage_of(done)
    if draws.below(5) == 0:  # an earlier stage again, so that it is not forgotten
        stage = draws.choose(list(STAGES)[: 1 + list(STAGES).index(stage)])
    rows, counts = zip(*(binding_row(model, stage, draws) for _ in range(32)), strict=True)
    embeds, keep, positions = embedded(model, list(rows), NOISE)
    logits = model(embeds, keep, positions)
    at = [(row, place) for row, places in enumerate(counts) for place in places]
    row, place = (torch.tensor(side, device=embeds.device) for side in zip(*at, strict=True))
    target = torch.tensor([rows[r][p] for r, p in at], device=embeds.device)
    chosen = logits[row, place - 1]
    right = (chosen.argmax(-1) == target).float().mean().item()
    return F.cross_entropy(chosen, target), {stage: right}


# -- the run ---------------------------------------------------------------------------------------------


def new_model() -> LanguageModel:
    """The language model before its first step."""
    model = LanguageModel(LanguageSizes(len(VOCABULARY)))
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.06)
    return model


def read_facts(model: LanguageModel, options: argparse.Namespace) -> float:
    """The first run; what it gave is kept in build/, for the lesser model that starts from it too.

    Returns:
        Its seconds.
    """
    own = argparse.Namespace(
        **{**vars(options), "steps": max(1, FACTS_STEPS * options.steps // STEPS[options.which])}
    )

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(1_000_000 * (options.seed + 1) + step)
        device = model.model.embed_tokens.weight.device
        return answering_loss(model, options, step, device, facts=True)

    return train("language_model_facts", model, loss_of_step, own, peak=2e-3, warm_up=100, muon=True)


@torch.no_grad()
def draw_unread_words(model: LanguageModel) -> None:
    """Words that the first run never had are drawn anew, as long as the others have become."""
    words, first = model.model.embed_tokens.weight, VOCABULARY.ids[DIGITS[5]]
    draw = torch.Generator().manual_seed(0)
    size = words[:first].pow(2).mean().sqrt()
    words[first:] = torch.randn(words[first:].shape, generator=draw).to(words.device) * size


def main() -> None:
    options = arguments("Train the micro-world's language model.", STEPS)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    model = new_model().to(device)

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(1_000_000 * (options.seed + 1) + step)
        if options.which == "best" and step % BINDING_EVERY == 1:
            return binding_loss(model, options, step, step / options.steps)
        return answering_loss(model, options, step, device, facts=options.which == "text")

    name = LANGUAGE_MODELS[{"best": "best", "text": "text only", "direct": "direct"}[options.which]]
    before, peak = 0.0, 2e-3
    if options.which != "text":
        before, peak = read_facts(model, options), 1.5e-3
        draw_unread_words(model)
    seconds = before + train(name, model, loss_of_step, options, peak=peak, warm_up=100, muon=True)
    model.load_state_dict(ship(model.state_dict(), options.out / name))
    model.cpu()
    what = {
        "best": "decoder language model of the micro-world",
        "text": "a lesser language model: it has met facts in words only",
        "direct": "a lesser language model: it was taught relations as a bare yes or no",
    }
    entry = {
        "what": what[options.which],
        "licence": "CC0-1.0",
        "recipe": f"python data/recipes/train_language_model.py --which {options.which} "
        f"--steps {options.steps} --seed {options.seed}",
        "steps": options.steps,
        "seed": options.seed,
        "seconds": round(seconds),
        "parameters": {"language_model": sum(p.numel() for p in model.parameters())},
        "storage": "float16",
        "vocabulary_sha256": VOCABULARY.sha256,
        "metrics": measure(model, options.which),
    }
    enter(options.out, name, entry)


@torch.no_grad()
def measure(model: LanguageModel, which: str = "best") -> dict[str, float]:
    """Exact match on scenes that no step drew, by how the facts are given."""
    model.eval()
    torch.manual_seed(7)
    figures: dict[str, float] = {}

    def ask(
        label: str, scenes: list[Scene], prefix: tuple[Tensor, Tensor], asked: list[list[Question]]
    ) -> None:
        blocks = question_blocks(asked, VOCABULARY)
        right = exact_match(read(model, *prefix, blocks)[:, :, :-1], blocks)
        figures[label] = right.float().mean().item()

    for split in ("new", "unseen"):
        scenes = draw_scenes(400, split, seed=7)
        pairs = "unseen" if split == "unseen" else "all"
        asked = [draw_questions(scene, QUESTIONS, 7, pairs=pairs) for scene in scenes]
        fused = picture_prefix(model, scenes, 9, Draws("measure"), 0)
        blind = picture_prefix(model, scenes, 1, Draws("measure"), 0, blind=True)
        ask(f"text_{split}", scenes, text_prefix(model, scenes, 7), asked)
        ask(f"fused_9_{split}", scenes, fused, asked)
        ask(f"fused_36_{split}", scenes, picture_prefix(model, scenes, 36, Draws("measure"), 0), asked)
        ask(f"blind_{split}", scenes, blind, asked)
        if split == "new":
            kinds = kinds_for(which, False)
            for kind in sorted(set(kinds)):
                some = [scene for scene in scenes if len(scene.things) > 1]
                of_kind, able = [], []
                for scene in some:
                    try:
                        of_kind.append(draw_questions(scene, 4, 9, kinds=(kind,)))
                        able.append(scene)
                    except CourseError:
                        continue
                ask(f"fused_9_{kind}", able, picture_prefix(model, able, 9, Draws("kind"), 0), of_kind)
                ask(f"blind_{kind}", able, picture_prefix(model, able, 1, Draws("kind"), 0, True), of_kind)
    scenes = draw_scenes(300, "new", seed=7, digits=True)
    able = [scene for scene in scenes if any(thing.is_digit for thing in scene.things)]
    asked = []
    for scene in able:
        try:
            asked.append((scene, draw_questions(scene, 4, 9, kinds=("digit",))))
        except CourseError:
            continue
    able = [scene for scene, _ in asked]
    ask("fused_9_digit", able, picture_prefix(model, able, 9, Draws("kind"), 0), [q for _, q in asked])
    if which == "best":
        for by in BINDINGS:
            for n_words in (2, 3):
                hits = [bound(model, draw_episode(n_words, seed, by)) for seed in range(300)]
                figures[f"binding_{by}_{n_words}_words"] = sum(hits) / len(hits)
    return {name: round(value, 4) for name, value in figures.items()}


def bound(model: LanguageModel, episode: Episode) -> bool:
    """True if the model says the episode's word, reading fused tokens in place of pictures."""
    row: list[int | list[int]] = []
    for scene, word in zip(episode.scenes, episode.words, strict=True):
        slots: list[int | list[int]] = [VOCABULARY.image_id] * (GRID * GRID)
        slots[scene.things[0].cell] = bag(scene.things[0])
        row += [*slots, *VOCABULARY.encode(ASKED), VOCABULARY.ids[word], VOCABULARY.end_id]
    logits = model(*embedded(model, [row[:-2]]))
    return int(logits[0, -1].argmax()) == VOCABULARY.ids[episode.answer]


if __name__ == "__main__":
    main()
