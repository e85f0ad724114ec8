"""Flamingo: a whole Idefics to 1e-5, the language model untouched, and pictures only where the index says."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_lib.errors import CourseError, ShapeError
from course_lib.flamingo import Flamingo, generate, parameter_groups
from course_lib.gated_block import gated_block
from course_lib.language import DecoderLayer, LanguageModel, LanguageSizes
from course_lib.media import influence, media_index, media_mask
from course_lib.resampler import PerceiverResampler
from tests.fixtures import idefics
from tests.fixtures.idefics import END, IMAGE, PAD, config, redrawn

WORDS = idefics.WORDS + idefics.NEW_WORDS
SIZES = LanguageSizes(WORDS, 24, idefics.LAYERS, idefics.HEADS, 40, idefics.ROPE_BASE)
# Text before the first of two pictures; one picture, and padding; no picture; a tag whose picture is absent.
ROWS = [
    [9, 4, IMAGE, 7, 8, IMAGE, 6, 5, END],
    [3, IMAGE, 11, 12, END],
    [8, 2, 8, END],
    [IMAGE, 14, 15, 9, 1, END],
]
REAL = torch.tensor([[True, True], [True, False], [False, False], [False, True]])  # pictures that are there
KINDS = ["ours", "Llama", "Qwen2", "Mistral"]


def ids_and_keep() -> tuple[Tensor, Tensor]:
    longest = max(map(len, ROWS))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in ROWS])
    return ids, torch.arange(longest) < torch.tensor([[len(row)] for row in ROWS])


class Ours(LanguageModel):
    """The course's language model, called with ids as transformers' are, and with a cache at hand."""

    def forward(  # type: ignore[override]
        self, ids: Tensor, attention_mask: Tensor, past_key_values: Any = None, use_cache: bool = False
    ) -> Any:
        cache = past_key_values or (self.new_cache() if use_cache else None)
        past = len(cache[0]) if cache else 0
        positions = (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, past:]
        logits = super().forward(self.model.embed_tokens(ids), attention_mask.bool(), positions, cache=cache)
        return type("Out", (), {"logits": logits, "past_key_values": cache})


def language_model(kind: str, std: float = 0.2) -> nn.Module:
    if kind == "ours":
        return redrawn(Ours(SIZES), std=std)
    tf = pytest.importorskip("transformers")
    settings = getattr(tf, f"{kind}Config")(
        vocab_size=WORDS,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        pad_token_id=PAD,
        bos_token_id=1,
        eos_token_id=END,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    return redrawn(getattr(tf, f"{kind}ForCausalLM")(settings), std=std)


def built(model: nn.Module, interval: int = 1, gate: tuple[float, float] | None = (0.8, -0.6)) -> Flamingo:
    """With blocks whose every parameter is drawn anew; gate None leaves them shut, as they are built."""
    places = len(range(0, 4, interval))
    blocks = nn.ModuleList(gated_block(24, 20, 3, 40, d_head=7) for _ in range(places))
    for number, block in enumerate(blocks):
        redrawn(block, seed=number)
        with torch.no_grad():
            for name, value in zip(("alpha_cross_attn", "alpha_dense"), gate or (0, 0), strict=True):
                getattr(block, name).fill_(value)
    return Flamingo(model, blocks, interval)


def pictures(seed: int = 0) -> Tensor:
    return torch.randn(len(ROWS), 2, 5, 20, generator=torch.Generator().manual_seed(seed))


def masked(ids: Tensor, real: Tensor = REAL) -> Tensor:
    return media_mask(media_index(ids, IMAGE), real[..., None].expand(-1, -1, 5))


@torch.no_grad()
def read(model: Flamingo, visual: Tensor, real: Tensor = REAL) -> Tensor:
    ids, keep = ids_and_keep()
    return model(visual.flatten(1, 2), masked(ids, real), ids, attention_mask=keep).logits


# -- beside Idefics ------------------------------------------------------------------------------------------


def from_idefics(theirs: Any) -> tuple[Flamingo, PerceiverResampler]:
    """Their whole model as our parts, with every parameter in its place."""
    settings = theirs.config
    language, blocks, resampler = idefics.parts(theirs.state_dict())
    ours = Flamingo(
        Ours(SIZES),
        nn.ModuleList(
            gated_block(24, 20, 3, 40, alpha=settings.alpha_type)
            for _ in range(idefics.LAYERS // settings.cross_layer_interval)
        ),
        settings.cross_layer_interval,
    )
    ours.language_model.load_state_dict(language, strict=True)
    ours.blocks.load_state_dict(blocks, strict=True)
    latents = PerceiverResampler(
        20, idefics.LATENTS, idefics.READS, idefics.RESAMPLER_HEADS, idefics.RESAMPLER_HEAD
    )
    latents.load_state_dict(resampler, strict=True)
    return ours.eval(), latents.eval()


@pytest.mark.parametrize("interval", [1, 2])
@pytest.mark.parametrize("alpha", ["float", "vector"])
@torch.no_grad()
def test_a_whole_idefics_is_our_parts_put_together(alpha: str, interval: int) -> None:
    tf = pytest.importorskip("transformers")
    theirs = redrawn(tf.IdeficsForVisionText2Text(config(alpha, interval)), std=0.25)
    assert theirs.lm_head.weight is theirs.model.embed_tokens.weight
    ours, resampler = from_idefics(theirs)
    ids, keep = ids_and_keep()
    pixels = torch.randn(len(ROWS), 2, 3, 12, 12)
    own = media_mask(media_index(ids, IMAGE), REAL[..., None])  # b t n: theirs has one entry a picture
    expected = theirs(
        ids, attention_mask=keep.long(), pixel_values=pixels, image_attention_mask=own.long()
    ).logits
    seen = theirs.model.vision_model(pixels.flatten(0, 1)).last_hidden_state
    visual = resampler(seen).unflatten(0, (len(ROWS), 2))
    logits = read(ours, visual)
    torch.testing.assert_close(logits[keep], expected[keep], atol=1e-5, rtol=1e-5)
    # What was compared depends on every part: on the pictures, on their mask, on each gate.
    assert (read(ours, visual.flip(1))[keep] - expected[keep]).abs().max() > 1e-2
    assert (read(ours, visual, torch.ones_like(REAL))[keep] - expected[keep]).abs().max() > 1e-3
    for block in ours.blocks:
        for gate in (block.alpha_cross_attn, block.alpha_dense):
            kept = gate.clone()
            gate.zero_()
            assert (read(ours, visual)[keep] - expected[keep]).abs().max() > 1e-3
            gate.copy_(kept)


# -- put into a language model, ours or theirs ---------------------------------------------------------------


@pytest.mark.parametrize("interval", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_with_closed_gates_it_is_the_language_model_bit_for_bit(kind: str, interval: int) -> None:
    model = language_model(kind)
    ids, keep = ids_and_keep()
    names, alone = list(model.state_dict()), model(ids, attention_mask=keep).logits
    shut = built(model, interval, gate=None)
    for size in (1.0, 1e4):
        assert torch.equal(read(shut, size * pictures()), alone)
    assert list(model.state_dict()) == names
    assert [name for name, _ in shut.named_children()] == ["language_model", "blocks"]
    with torch.no_grad():
        for block in shut.blocks:
            block.alpha_cross_attn.fill_(1.0)
            assert not torch.equal(read(shut, pictures()), alone)  # and each block is really there
            block.alpha_cross_attn.fill_(0.0)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_called_by_itself_the_language_model_stays_itself_with_gates_wide_open(kind: str) -> None:
    model = language_model(kind)
    ids, keep = ids_and_keep()
    alone = model(ids, attention_mask=keep).logits
    said = _generated(model) if kind != "ours" else None
    model_with = built(model)
    assert not torch.equal(read(model_with, pictures()), alone)
    assert torch.equal(model(ids, attention_mask=keep).logits, alone)
    if said is not None:
        assert torch.equal(_generated(model), said)
    with pytest.raises(Exception, match=r".*"):
        model_with(torch.randn(4, 10, 3), masked(ids), ids, attention_mask=keep)  # of another width
    assert torch.equal(model(ids, attention_mask=keep).logits, alone)  # an error leaves no picture behind


def _generated(model: Any) -> Tensor:
    ids = torch.tensor([ROWS[0]])
    settings = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    found: Tensor = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    return found


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_pictures_change_exactly_the_tokens_that_the_table_of_influence_names(kind: str) -> None:
    model = built(language_model(kind))
    ids, keep = ids_and_keep()
    table = influence(media_index(ids, IMAGE), 2)
    first: list[Tensor] = []
    model.blocks[0].register_forward_hook(lambda block, args, out: first.append(out))
    every = torch.ones_like(REAL)
    logits, visual = read(model, pictures(), every), pictures()
    for picture in range(2):
        changed = visual.clone()
        changed[:, picture] = pictures(seed=1)[:, picture]
        moved = (read(model, changed, every) != logits).any(dim=-1)
        at_block = (first[-1] != first[0]).any(dim=-1)
        assert torch.equal(at_block[keep], table["reads"][..., picture][keep])
        assert torch.equal(moved[keep], table["reaches"][..., picture][keep])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gate", [0.5, -2.0, 50.0])
@torch.no_grad()
def test_text_before_any_picture_is_the_language_models_own(kind: str, gate: float) -> None:
    model = language_model(kind)
    ids, keep = ids_and_keep()
    alone = model(ids, attention_mask=keep).logits
    opened = built(model, gate=(gate, 0.0))
    logits = read(opened, pictures())
    before = (media_index(ids, IMAGE) == 0) & keep
    assert before.sum() == 7
    assert torch.equal(logits[before], alone[before])
    assert torch.equal(logits[3][keep[3]], alone[3][keep[3]])  # a tag whose picture is absent
    assert not torch.equal(logits[0, 2], alone[0, 2])
    assert logits.isfinite().all()
    dense = built(language_model(kind), gate=(gate, gate))
    here, elsewhere = read(dense, pictures()), read(dense, 100 * pictures(seed=2))
    assert torch.equal(here[before], elsewhere[before])
    assert here.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("interval", [1, 2])
@torch.no_grad()
def test_a_row_of_a_batch_is_what_it_is_alone(kind: str, interval: int) -> None:
    model, visual = built(language_model(kind), interval), pictures()
    together = read(model, visual)
    for number, row in enumerate(ROWS):
        ids = torch.tensor([row])
        n = row.count(IMAGE)
        mask = masked(ids, REAL[number : number + 1, :n])
        alone = model(
            visual[number, :n].flatten(0, 1)[None], mask, ids, attention_mask=torch.ones_like(ids)
        ).logits
        torch.testing.assert_close(together[number, : len(row)], alone[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_weights_of_attention_are_those_of_the_stream_that_the_block_has_changed() -> None:
    model = built(redrawn(LanguageModel(SIZES)))
    ids, keep = ids_and_keep()
    positions = torch.arange(ids.shape[1]).expand_as(ids)
    embeds = model.language_model.model.embed_tokens(ids)  # type: ignore[operator, union-attr]
    looks: list[Tensor] = []
    visual, mask = pictures().flatten(1, 2), masked(ids)
    model(visual, mask, embeds, keep, positions, looks=looks)
    expected: list[Tensor] = []
    by_hand: Any = lambda i, hidden: model.blocks[i](hidden, visual, mask)  # noqa: E731
    model.language_model(embeds, keep, positions, before_layer=by_hand, looks=expected)
    for ours, other in zip(looks, expected, strict=True):
        torch.testing.assert_close(ours, other, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_a_copy_of_the_whole_reads_pictures_with_its_own_blocks() -> None:
    model = built(language_model("ours"))
    twin = copy.deepcopy(model)
    logits = read(model, pictures())
    assert torch.equal(read(twin, pictures()), logits)
    for block in twin.blocks:
        redrawn(block, seed=9)
    assert not torch.equal(read(twin, pictures()), logits)
    assert torch.equal(read(model, pictures()), logits)


# -- what trains ---------------------------------------------------------------------------------------------


def loss_of(model: Flamingo) -> Tensor:
    ids, keep = ids_and_keep()
    logits = model(pictures().flatten(1, 2), masked(ids), ids, attention_mask=keep).logits
    targets = ids.masked_fill(~keep, -100)[:, 1:]
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=-100)


@pytest.mark.parametrize("kind", ["ours", "Llama"])
def test_as_built_only_the_gates_have_a_gradient_and_one_step_later_the_whole_block_has(kind: str) -> None:
    model = Flamingo(
        language_model(kind), nn.ModuleList(gated_block(24, 20, 3, 40, d_head=7) for _ in range(4))
    )
    groups = parameter_groups(model, torch.tensor([], dtype=torch.long), 0.1)
    optimiser = torch.optim.SGD(groups, lr=0.5)
    awake = []
    for _ in range(2):
        optimiser.zero_grad()
        loss_of(model).backward()
        awake.append({n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()})
        optimiser.step()
    names = {name for name, _ in model.named_parameters() if name.startswith("blocks.")}
    assert awake[0] == {name for name in names if "alpha" in name}
    assert awake[1] == names


class Whole(Flamingo):
    """A Flamingo with a resampler, and with a dropout and a buffer in its frozen part."""

    def __init__(self) -> None:
        language = language_model("ours")
        language.model.layers[1] = redrawn(Noisy())  # type: ignore[union-attr, index]
        super().__init__(language, nn.ModuleList(gated_block(24, 20, 3, 40, d_head=7) for _ in range(4)))
        for block in self.blocks:
            redrawn(block)
        self.resampler = redrawn(PerceiverResampler(20, 5, 1, 2, 7))

    def forward(self, visual: Tensor, mask: Tensor, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        latents = self.resampler(visual.unflatten(1, (2, -1)).flatten(0, 1))
        return super().forward(latents.unflatten(0, (-1, 2)).flatten(1, 2), mask, *args, **kwargs)


class Noisy(DecoderLayer):
    """A layer, a dropout behind it, and a count of the calls in train mode."""

    def __init__(self) -> None:
        super().__init__(SIZES)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, *args: Any) -> Tensor:
        if self.training:
            self.calls += 1  # type: ignore[operator]
        return self.dropout(super().forward(*args))  # type: ignore[no-any-return]


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("optimiser", [torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("new", [[IMAGE, END], [3], []])
def test_steps_with_weight_decay_move_the_branch_and_of_the_language_model_only_new_rows(
    optimiser: Any, new: list[int]
) -> None:
    model = Whole()
    steps = optimiser(parameter_groups(model, torch.tensor(new, dtype=torch.long), 0.1), lr=0.1)
    model.train()
    before = snapshot(model)
    for _ in range(3):
        steps.zero_grad()
        loss_of(model).backward()
        steps.step()
    after = model.state_dict()
    embedding = "language_model.model.embed_tokens.weight"
    moved = (after[embedding] != before[embedding]).any(dim=1)
    assert moved.nonzero().flatten().tolist() == sorted(new)
    for name, value in after.items():
        if name != embedding:
            assert torch.equal(value, before[name]) == name.startswith("language_model."), name


def test_asked_again_with_other_new_ids_those_train_and_the_earlier_ones_do_not() -> None:
    model = Whole()
    for ids in ([3], [IMAGE, 7]):
        parameter_groups(model, torch.tensor(ids), 0.1)
    loss_of(model).backward()
    gradient = model.language_model.model.embed_tokens.weight.grad  # type: ignore[union-attr]
    assert isinstance(gradient, Tensor)
    assert gradient.any(dim=1).nonzero().flatten().tolist() == [7, IMAGE]


def test_dropout_of_the_frozen_part_sleeps_through_train_and_the_branch_does_not() -> None:
    model = Whole()
    parameter_groups(model, torch.tensor([IMAGE]), 0.1)
    model.train()
    assert loss_of(model).item() == loss_of(model).item()
    assert not any(part.training for part in model.language_model.modules())
    assert all(part.training for part in model.blocks.modules())
    assert all(part.training for part in model.resampler.modules())
    model.eval()
    assert not any(part.training for part in model.modules())
    model.train()
    assert not any(part.training for part in model.language_model.modules())
    model.language_model.train()  # the control: awake, it would be noticed
    assert loss_of(model).item() != loss_of(model).item()


def test_what_decays_are_the_matrices_of_the_blocks_and_everything_else_is_in_the_other_group() -> None:
    model = Whole()
    decayed, others = parameter_groups(model, torch.tensor([IMAGE]), 0.3)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    for group, chosen in ((decayed, True), (others, False)):
        for parameter in group["params"]:
            name = names.pop(id(parameter))
            matrix = name.startswith("blocks.") and name.endswith("proj.weight")
            assert matrix == chosen, name
    assert all(name.startswith("language_model.") for name in names.values())
    assert "language_model.model.embed_tokens.weight" not in names.values()


def test_a_copy_is_put_into_train_mode_itself() -> None:
    model = Whole()
    parameter_groups(model, torch.tensor([IMAGE]), 0.1)
    model.eval()
    twin = copy.deepcopy(model)
    assert twin.train() is twin
    assert twin.blocks.training
    assert not twin.language_model.training
    assert not model.blocks.training


# -- writing -------------------------------------------------------------------------------------------------


class Cached(nn.Module):
    """Reads the newest tokens, and knows the rest from the language model's own cache."""

    def __init__(self, flamingo: Flamingo) -> None:
        super().__init__()
        self.flamingo = flamingo
        self.lengths, self.latest = list[int](), list[Tensor]()

    def forward(self, ids: Tensor, visual: Tensor, mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        past, known = cache or (0, None)
        self.lengths.append(ids.shape[1])
        keep = torch.ones(1, past + ids.shape[1], dtype=torch.long)
        out = self.flamingo(visual, mask, ids, attention_mask=keep, past_key_values=known, use_cache=True)
        self.latest.append(out.logits[0, -1])
        return out.logits, (past + ids.shape[1], out.past_key_values)


class Rereading(nn.Module):
    """Reads everything again at every call; its "cache" is what it has been given."""

    def __init__(self, flamingo: Flamingo) -> None:
        super().__init__()
        self.flamingo = flamingo
        self.latest = list[Tensor]()

    def forward(self, ids: Tensor, visual: Tensor, mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        if cache is not None:
            ids, mask = torch.cat([cache[0], ids], dim=1), torch.cat([cache[1], mask], dim=1)
        logits = self.flamingo(visual, mask, ids, attention_mask=torch.ones_like(ids)).logits
        self.latest.append(logits[0, -1])
        return logits, (ids, mask)


PROMPTS = [[9, 4, IMAGE, 7, 8, IMAGE, 6, 5], [IMAGE], [9, 4, 3]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", PROMPTS, ids=["two pictures", "a tag alone", "no picture"])
@torch.no_grad()
def test_with_a_cache_the_same_is_written_as_without(kind: str, prompt: list[int]) -> None:
    flamingo = built(language_model(kind, std=0.5))
    ids, visual = torch.tensor(prompt), torch.randn(prompt.count(IMAGE), 5, 20)
    cached, rereading = Cached(flamingo), Rereading(flamingo)
    written = generate(cached, ids, visual, IMAGE, -1, 9)
    assert written == generate(rereading, ids, visual, IMAGE, -1, 9)
    for quick, slow in zip(cached.latest, rereading.latest, strict=True):
        torch.testing.assert_close(quick, slow, rtol=1e-5, atol=1e-5 * float(slow.abs().max()))
    assert written == by_hand(flamingo, prompt, visual, 9)
    assert cached.lengths == [len(prompt)] + [1] * 8
    assert len(set(written)) > 1
    if len(visual):  # and the pictures matter to what is written
        assert written != generate(cached, ids, 5 * torch.randn_like(visual), IMAGE, -1, 9)


def by_hand(flamingo: Flamingo, prompt: list[int], visual: Tensor, n: int) -> list[int]:
    """Slow and plain: the whole row each time, its index and its mask from the start."""
    row, every = list(prompt), torch.ones(1, *visual.shape[:2], dtype=torch.bool)
    for _ in range(n):
        ids = torch.tensor([row])
        mask = media_mask(media_index(ids, IMAGE), every)
        logits = flamingo(visual.flatten(0, 1)[None], mask, ids, attention_mask=torch.ones_like(ids)).logits
        order = logits[0, -1].argsort(descending=True).tolist()
        row.append(next(word for word in order if word != IMAGE))
    return row[len(prompt) :]


class Script(nn.Module):
    """Says one word after another, the tag always the likeliest."""

    def __init__(self, words: list[int]) -> None:
        super().__init__()
        self.words, self.masks = words, list[Tensor]()

    def forward(self, ids: Tensor, visual: Tensor, mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        said = 0 if cache is None else cache
        self.masks.append(mask)
        logits = torch.zeros(1, ids.shape[1], WORDS)
        logits[0, -1, self.words[said]] = 2.0
        logits[0, -1, IMAGE] = 3.0
        return logits, said + 1


@pytest.mark.parametrize(("n", "expected"), [(0, []), (1, [5]), (2, [5, 6]), (9, [5, 6, 7])], ids=str)
def test_writing_stops_at_the_sign_or_at_the_most_and_never_writes_a_tag(n: int, expected: list[int]) -> None:
    script = Script([5, 6, 7, END, 8])
    ids = torch.tensor([IMAGE, 4, IMAGE, 3])
    assert generate(script, ids, torch.randn(2, 5, 20), IMAGE, END, n) == expected
    latest = torch.tensor([False] * 5 + [True] * 5)
    assert all(torch.equal(mask[0, -1], latest) for mask in script.masks)
    assert [mask.shape[1] for mask in script.masks[1:]] == [1] * (len(script.masks) - 1)


# -- errors --------------------------------------------------------------------------------------------------


def test_wrong_numbers_of_blocks_and_intervals_are_named() -> None:
    def blocks(count: int) -> nn.ModuleList:
        return nn.ModuleList(gated_block(24, 20, 3, 40) for _ in range(count))

    for count, interval, places in ((3, 1, 4), (4, 2, 2), (1, 3, 2), (0, 9, 1)):
        numbers = (
            rf"4 layers with interval={interval} have places for {places} blocks, and {count} were given"
        )
        with pytest.raises(ShapeError, match=numbers):
            Flamingo(language_model("ours"), blocks(count), interval)
    with pytest.raises(ShapeError, match="interval=0 is no interval"):
        Flamingo(language_model("ours"), blocks(4), 0)
    model = language_model("ours")
    with pytest.raises(ShapeError):
        Flamingo(model, blocks(3))
    assert not any(layer._forward_pre_hooks for layer in model.model.layers)  # type: ignore[union-attr]


def test_a_model_without_layers_is_refused() -> None:
    for model in (nn.Linear(2, 3), nn.Sequential(), redrawn(LanguageModel(LanguageSizes(7, 8, 0, 2)))):
        with pytest.raises(CourseError, match=rf"a {type(model).__name__} has no layers in `model.layers`"):
            Flamingo(model, nn.ModuleList())


@pytest.mark.parametrize("ids", [[0, WORDS], [-1, 3]])
def test_a_new_id_beyond_the_embedding_is_named_and_nothing_is_frozen(ids: list[int]) -> None:
    model = Whole()
    numbers = rf"new_ids run from {ids[0]} to {ids[1]}, and the embedding has rows 0 to {WORDS - 1}"
    with pytest.raises(ShapeError, match=numbers):
        parameter_groups(model, torch.tensor(ids), 0.1)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("prompt", "given", "message"),
    [
        ([], 0, "the prompt has 0 tokens"),
        ([IMAGE, 3, IMAGE], 1, "the prompt has 2 tags and there are 1 pictures"),
        ([4, 3], 2, "the prompt has 0 tags and there are 2 pictures"),
    ],
)
def test_a_prompt_that_does_not_fit_its_pictures_is_refused(
    prompt: list[int], given: int, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        generate(
            Script([5]), torch.tensor(prompt, dtype=torch.long), torch.randn(given, 5, 20), IMAGE, END, 3
        )
