"""A row read in pieces is the row read at once, in our language model and in transformers'."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_lib.errors import CourseError
from course_lib.flamingo import Flamingo, generate
from course_lib.gated_block import gated_block
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.media import media_index, media_mask
from course_lib.readers import Reader

WORDS, D_TEXT, D_VISUAL, V, LAYERS = 31, 24, 20, 5, 3
IMAGE, NEVER = 2, -1
PROMPT = torch.tensor([9, 4, IMAGE, 7, 8, 11, IMAGE, 6, 5])


def llama() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=D_TEXT,
        intermediate_size=40,
        num_hidden_layers=LAYERS,
        num_attention_heads=6,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=3,
        attn_implementation="eager",
    )
    model: nn.Module = transformers.LlamaForCausalLM(config)
    return model


def ours() -> nn.Module:
    return LanguageModel(LanguageSizes(WORDS, d_model=D_TEXT, n_layers=LAYERS, n_heads=6, d_hidden=40))


def flamingo(language_model: nn.Module, interval: int, gates: bool) -> Flamingo:
    """Every parameter drawn anew; the gates are open or as they were built, which is shut."""
    places = len(range(0, LAYERS, interval))
    blocks = nn.ModuleList(gated_block(D_TEXT, D_VISUAL, 4, 28, d_head=5) for _ in range(places))
    model = Flamingo(language_model, blocks, interval)
    for name, parameter in model.named_parameters():
        if "alpha" not in name:
            # A quiet embedding: where it is the output layer too, a loud one says its own word for ever.
            nn.init.normal_(parameter, std=0.1 if "embed_tokens" in name else 0.4)
        elif gates:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return model.eval()


def whole_mask(ids: Tensor, pictures: int = 2) -> Tensor:
    return media_mask(media_index(ids, IMAGE), torch.ones(len(ids), pictures, V, dtype=torch.bool))


def built(kind: str, interval: int = 1, gates: bool = True) -> Reader:
    return Reader(flamingo(ours() if kind == "ours" else llama(), interval, gates))


@pytest.mark.parametrize("kind", ["ours", "llama"])
@pytest.mark.parametrize("interval", [1, 2])
@pytest.mark.parametrize("pieces", [(9, 1, 1, 1), (4, 3, 5), (1,) * 12], ids=str)
def test_a_row_read_in_pieces_is_the_row_read_at_once(
    kind: str, interval: int, pieces: tuple[int, ...]
) -> None:
    reader = built(kind, interval)
    ids = torch.cat([PROMPT, torch.tensor([10, 12, 13])])[None]
    visual, mask = torch.randn(1, 2 * V, D_VISUAL), whole_mask(ids)
    at_once, _ = reader(ids, visual, mask, None)
    found, cache = [], None
    for part, rows in zip(ids.split(pieces, dim=1), mask.split(pieces, dim=1), strict=True):
        logits, cache = reader(part, visual, rows, cache)
        found.append(logits)
    gap = (torch.cat(found, dim=1) - at_once).abs().max() / at_once.abs().max()
    assert gap < 1e-5
    blind, _ = reader(ids, visual, torch.zeros_like(mask), None)
    assert (blind - at_once)[:, 2:].abs().max() / at_once.abs().max() > 1e-2, "the gates are open"
    torch.testing.assert_close(blind[:, :2], at_once[:, :2])


@pytest.mark.parametrize("kind", ["ours", "llama"])
def test_a_row_is_the_same_alone_as_in_a_batch(kind: str) -> None:
    reader = built(kind)
    ids = torch.stack([PROMPT, PROMPT.flip(0)])
    visual, mask = torch.randn(2, 2 * V, D_VISUAL), whole_mask(ids)
    together, cache = reader(ids, visual, mask, None)
    later, _ = reader(ids[:, :1], visual, mask[:, -1:], cache)
    for row in range(2):
        one = slice(row, row + 1)
        alone, own = reader(ids[one], visual[one], mask[one], None)
        next_alone, _ = reader(ids[one, :1], visual[one], mask[one, -1:], own)
        torch.testing.assert_close(together[one], alone, rtol=1e-5, atol=1e-5 * float(alone.abs().max()))
        torch.testing.assert_close(
            later[one], next_alone, rtol=1e-5, atol=1e-5 * float(next_alone.abs().max())
        )


class Rereading(nn.Module):
    """The whole row at every call: its cache is what it was given."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, ids: Tensor, visual: Tensor, mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        if cache is not None:
            ids, mask = torch.cat([cache[0], ids], dim=1), torch.cat([cache[1], mask], dim=1)
        logits, _ = self.reader(ids, visual, mask, None)
        return logits, (ids, mask)


@pytest.mark.parametrize("kind", ["ours", "llama"])
def test_writing_is_the_same_with_and_without_a_cache(kind: str) -> None:
    reader = built(kind)
    visual = torch.randn(2, V, D_VISUAL)
    written = generate(reader, PROMPT, visual, IMAGE, NEVER, 9)
    assert written == generate(Rereading(reader), PROMPT, visual, IMAGE, NEVER, 9)
    assert len(written) == 9
    assert len(set(written)) > 1
    assert written != generate(reader, PROMPT, 4 * torch.randn(2, V, D_VISUAL), IMAGE, NEVER, 9)


@pytest.mark.parametrize("seed", range(4))
def test_with_shut_gates_a_llama_writes_what_it_writes_itself(seed: int) -> None:
    torch.manual_seed(seed)
    reader = built("llama", gates=False)
    language_model: Any = reader.flamingo.language_model
    text = torch.tensor([9, 4, 7, 8, 11, 6])
    theirs = language_model.generate(
        text[None],
        attention_mask=torch.ones_like(text)[None],
        do_sample=False,
        max_new_tokens=12,
        eos_token_id=3,
        pad_token_id=0,
        suppress_tokens=[IMAGE],
    )[0, len(text) :].tolist()
    if 3 in theirs:
        theirs = theirs[: theirs.index(3)]
    assert generate(reader, text, torch.zeros(0, V, D_VISUAL), IMAGE, 3, 12) == theirs
    tagged = torch.cat([text[:3], torch.tensor([IMAGE]), text[3:]])
    shown = [generate(reader, tagged, torch.randn(1, V, D_VISUAL), IMAGE, 3, 12) for _ in range(2)]
    assert shown[0] == shown[1], "behind shut gates no picture is seen"


def test_a_new_row_begins_without_a_cache_of_the_last() -> None:
    reader = built("ours")
    visual, mask = torch.randn(1, 2 * V, D_VISUAL), whole_mask(PROMPT[None])
    first, cache = reader(PROMPT[None], visual, mask, None)
    again, other = reader(PROMPT[None], visual, mask, None)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert cache is not other
    assert [len(layer) for layer in cache] == [len(PROMPT)] * LAYERS


def test_what_is_no_flamingo_is_refused_by_name() -> None:
    with pytest.raises(CourseError, match="Linear has no part called language_model"):
        Reader(nn.Linear(3, 4))


class Forgetful(nn.Module):
    """Answers, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.language_model = nn.Identity()

    def forward(self, visual: Tensor, mask: Tensor, **given: Any) -> Any:
        return type("Out", (), {"logits": torch.zeros(1, 1, WORDS)})


def test_a_model_without_a_cache_is_refused_by_name() -> None:
    with pytest.raises(CourseError, match="Identity returned no past_key_values"):
        Reader(Forgetful())(
            torch.tensor([[1]]), torch.zeros(1, V, D_VISUAL), torch.ones(1, 1, V).bool(), None
        )
