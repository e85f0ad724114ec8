"""The language model computes what transformers' Llama computes; packed questions do not hear each other."""

import pytest
import torch
from transformers import LlamaForCausalLM

from course_lib.errors import ShapeError
from course_lib.language import LanguageModel, LanguageSizes, pack, read_blocks
from tests.fixtures.llama import their_llama

SIZES = LanguageSizes(n_words=31, d_model=24, n_layers=3, n_heads=3, d_hidden=40, rope_base=700.0)


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def everything(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(batch, length, dtype=torch.bool), torch.arange(length).expand(batch, length)


@pytest.fixture
def pair():
    theirs = LlamaForCausalLM(their_llama(SIZES)).eval()
    randomise(theirs)
    ours = LanguageModel(SIZES).eval()
    state = {key: value for key, value in theirs.state_dict().items() if key != "lm_head.weight"}
    ours.load_state_dict(state, strict=True)
    return ours, theirs


@torch.no_grad()
def test_logits_equal_transformers(pair):
    ours, theirs = pair
    ids = torch.tensor([[4, 9, 30, 2, 7, 7, 1], [5, 5, 6, 8, 10, 12, 14]])
    keep, positions = everything(2, 7)
    logits = ours(ours.model.embed_tokens(ids), keep, positions)
    torch.testing.assert_close(logits, theirs(ids).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_embeddings_with_padding_and_chosen_positions_equal_transformers(pair):
    ours, theirs = pair
    embeds = drawn(2, 6, 24)
    keep = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], dtype=torch.bool)
    positions = torch.tensor([[0, 1, 2, 9, 10, 11], [3, 4, 5, 6, 0, 0]])
    expected = theirs(inputs_embeds=embeds, attention_mask=keep.long(), position_ids=positions).logits
    seen = ours(embeds, keep, positions)
    torch.testing.assert_close(seen[keep], expected[keep], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_our_checkpoint_loads_into_transformers_with_its_output_layer_tied():
    ours = LanguageModel(LanguageSizes(50)).eval()
    theirs = LlamaForCausalLM(their_llama(ours.sizes)).eval()
    missing, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    theirs.tie_weights()
    ids = torch.tensor([[4, 9, 30, 2]])
    logits = ours(ours.model.embed_tokens(ids), *everything(1, 4))
    torch.testing.assert_close(logits, theirs(ids).logits, atol=1e-5, rtol=1e-5)
    assert 700_000 < sum(parameter.numel() for parameter in ours.parameters()) < 900_000


@torch.no_grad()
def test_packed_questions_are_answered_as_if_each_stood_alone(pair):
    ours, _ = pair
    prefix, blocks = drawn(2, 5, 24), drawn(2, 3, 4, 24, seed=2)
    prefix_keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
    block_keep = torch.ones(2, 3, 4, dtype=torch.bool)
    block_keep[0, 1, 3] = block_keep[1, 2, 2:] = False
    sees, positions = pack(prefix_keep, block_keep)
    packed = ours(torch.cat([prefix, blocks.flatten(1, 2)], dim=1), sees, positions)[:, 5:].view(2, 3, 4, 31)
    for b in range(2):
        real = int(prefix_keep[b].sum())
        for n in range(3):
            words = int(block_keep[b, n].sum())
            row = torch.cat([prefix[b, :real], blocks[b, n, :words]])[None]
            alone = ours(row, *everything(1, real + words))[0, real:]
            torch.testing.assert_close(packed[b, n, :words], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_before_layer_runs_before_every_layer_and_what_it_returns_is_read(pair):
    ours, _ = pair
    embeds = drawn(2, 4, 24)
    keep, positions = everything(2, 4)
    plain = ours(embeds, keep, positions)
    seen = []

    def look(index: int, hidden: torch.Tensor) -> torch.Tensor:
        seen.append((index, hidden.clone()))
        return hidden

    assert torch.equal(ours(embeds, keep, positions, before_layer=look), plain)
    assert [index for index, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[0][1], embeds)
    for chosen in range(3):
        changed = ours(embeds, keep, positions, before_layer=lambda i, h, c=chosen: h + (i == c))
        assert (changed - plain).abs().max() > 1e-3


@torch.no_grad()
def test_looks_are_the_attention_of_transformers(pair):
    ours, theirs = pair
    ids = torch.tensor([[4, 9, 30, 2, 7]])
    looks: list[torch.Tensor] = []
    plain = ours(ours.model.embed_tokens(ids), *everything(1, 5))
    assert torch.equal(ours(ours.model.embed_tokens(ids), *everything(1, 5), looks=looks), plain)
    for look, other in zip(looks, theirs(ids, output_attentions=True).attentions, strict=True):
        torch.testing.assert_close(look, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_row_of_padding_alone_stays_finite(pair):
    ours, _ = pair
    keep, positions = everything(2, 4)
    keep = keep.clone()
    keep[1] = False
    assert ours(drawn(2, 4, 24), keep, positions).isfinite().all()


def test_a_mask_or_positions_of_another_length_are_named(pair):
    ours, _ = pair
    keep, positions = everything(2, 5)
    with pytest.raises(ShapeError, match=r"\(2, 4\).*keep is \(2, 5\)"):
        ours(drawn(2, 4, 24), keep, positions[:, :4])


@pytest.mark.parametrize("steps", [[9], [1] * 9, [4, 5], [5, 1, 1, 2], [1, 3, 1, 4]], ids=str)
@torch.no_grad()
def test_read_in_steps_with_a_cache_the_logits_are_those_of_reading_all_at_once(pair, steps):
    ours, _ = pair
    embeds = drawn(3, 9, 24)
    # Padding at the right, none, and at the left, with positions that count what is real. True = keep.
    keep = torch.tensor([[1] * 6 + [0] * 3, [1] * 9, [0] * 2 + [1] * 7], dtype=torch.bool)
    positions = (keep.long().cumsum(dim=1) - 1).clamp(min=0)
    whole = ours(embeds, keep, positions)
    cache, found, past = ours.new_cache(), [], 0
    for step in steps:
        now = slice(past, past + step)
        past += step
        found.append(ours(embeds[:, now], keep[:, :past], positions[:, now], cache=cache))
        assert [len(layer) for layer in cache] == [past] * 3
    logits = torch.cat(found, dim=1)
    assert logits.isfinite().all()
    difference = (logits - whole)[keep].abs().max() / whole[keep].abs().max()
    assert difference < 1e-5
    # A cache that were ignored would be seen: the last tokens alone say something else.
    alone = ours(embeds[:, -1:], keep[:, -1:], positions[:, -1:])
    assert (alone - whole[:, -1:])[keep[:, -1]].abs().max() > 1e-2


@torch.no_grad()
def test_a_mask_of_who_sees_whom_is_kept_in_steps_too(pair):
    ours, _ = pair
    embeds = drawn(2, 6, 24)
    _, positions = everything(2, 6)
    sees = torch.ones(2, 6, 6, dtype=torch.bool).tril()  # True where token i may see token j
    sees[0, 4:, 1:3] = sees[1, 5, 0] = False
    whole, cache = ours(embeds, sees, positions), ours.new_cache()
    first = ours(embeds[:, :4], sees[:, :4, :4], positions[:, :4], cache=cache)
    second = ours(embeds[:, 4:], sees[:, 4:], positions[:, 4:], cache=cache)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, atol=1e-5, rtol=1e-5)
    assert (second - ours(embeds, torch.ones_like(sees).tril(), positions)[:, 4:]).abs().max() > 1e-3


@torch.no_grad()
def test_a_step_through_the_cache_equals_transformers_own(pair):
    ours, theirs = pair
    ids = torch.tensor([[4, 9, 30, 2, 7, 7, 1], [5, 5, 6, 8, 10, 12, 14]])
    keep, positions = everything(2, 7)
    known, cache = None, ours.new_cache()
    for start, end in ((0, 4), (4, 5), (5, 7)):
        out = theirs(ids[:, start:end], past_key_values=known, use_cache=True)
        known = out.past_key_values
        embeds = ours.model.embed_tokens(ids[:, start:end])
        logits = ours(embeds, keep[:, :end], positions[:, start:end], cache=cache)
        torch.testing.assert_close(logits, out.logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_two_caches_know_nothing_of_each_other_and_without_one_nothing_is_kept(pair):
    ours, _ = pair
    embeds, (keep, positions) = drawn(1, 5, 24), everything(1, 5)
    whole = ours(embeds, keep, positions)
    mine, other = ours.new_cache(), ours.new_cache()
    ours(embeds[:, :4], keep[:, :4], positions[:, :4], cache=mine)
    ours(drawn(1, 2, 24, seed=9), keep[:, :2], positions[:, :2], cache=other)
    ours(drawn(1, 2, 24, seed=8), keep[:, :2], positions[:, :2])
    last = ours(embeds[:, 4:], keep, positions[:, 4:], cache=mine)
    torch.testing.assert_close(last, whole[:, 4:], atol=1e-5, rtol=1e-5)
    assert ([len(layer) for layer in mine], [len(layer) for layer in other]) == ([5] * 3, [2] * 3)


@torch.no_grad()
def test_a_mask_that_forgets_the_cache_is_named_with_all_numbers(pair):
    ours, _ = pair
    embeds, (keep, positions) = drawn(2, 7, 24), everything(2, 7)
    cache = ours.new_cache()
    ours(embeds[:, :4], keep[:, :4], positions[:, :4], cache=cache)
    for wrong in (keep[:, 4:], torch.ones(2, 3, 3, dtype=torch.bool)):
        shape = ", ".join(map(str, wrong.shape))
        numbers = (
            rf"embeds are \(2, 3\).*keep is \({shape}\).*the cache holds 4 tokens.*those of the cache too"
        )
        with pytest.raises(ShapeError, match=numbers):
            ours(embeds[:, 4:], wrong, positions[:, 4:], cache=cache)
    with pytest.raises(ShapeError, match=r"positions are \(2, 7\), the cache holds 4 tokens"):
        ours(embeds[:, 4:], keep, positions, cache=cache)
    with pytest.raises(ShapeError, match="with 4 tokens in the cache there are no whole weights"):
        ours(embeds[:, 4:], keep, positions[:, 4:], cache=cache, looks=[])
    assert [len(layer) for layer in cache] == [4] * 3  # what was refused was not read


def test_heads_of_odd_width_are_refused():
    with pytest.raises(ShapeError, match="d_model=30 cannot be cut into n_heads=6 heads of even width"):
        LanguageModel(LanguageSizes(5, d_model=30, n_heads=6))


def test_blocks_read_without_their_padding_give_what_they_give_with_it() -> None:
    torch.manual_seed(3)
    model = LanguageModel(LanguageSizes(n_words=11, d_model=16, n_layers=2, n_heads=2, d_hidden=24)).eval()
    prefix = torch.randn(2, 4, 16)
    prefix_keep = torch.tensor([[True] * 4, [True, True, False, False]])
    ids, lengths = torch.randint(0, 11, (2, 3, 6)), torch.tensor([[6, 2, 3], [1, 4, 2]])
    keep = torch.arange(6) < lengths[..., None]
    sees, positions = pack(prefix_keep, keep)
    stream = torch.cat([prefix, model.model.embed_tokens(ids.flatten(1))], dim=1)
    slow = model(stream, sees, positions)[:, 4:].unflatten(1, (3, 6))
    read: list[int] = []

    def counted(_: int, hidden: torch.Tensor) -> torch.Tensor:
        read.append(hidden.shape[1])
        return hidden

    quick = read_blocks(model, prefix, prefix_keep, ids, keep, counted)
    torch.testing.assert_close(quick[keep], slow[keep], atol=1e-5, rtol=1e-5)
    assert (quick[~keep] == 0).all()
    assert read == [4 + 11] * 2  # the longest row, and not 4 + 18
