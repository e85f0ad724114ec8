"""Who may look at which picture: Idefics' masks, the laws, and what one sees when a picture changes."""

from inspect import unwrap
from types import SimpleNamespace

import pytest
import torch
from einops import rearrange, repeat
from torch import nn

from course_lib.errors import ShapeError
from course_lib.flamingo import Flamingo
from course_lib.gated_block import gated_block
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.media import influence, media_index, media_mask

IMAGE, END, TEXT = 1, 2, 5


def ids_of(*rows: str) -> torch.Tensor:
    """Letters to ids: t is text, I a tag, E the end of a document."""
    return torch.tensor([[{"t": TEXT, "I": IMAGE, "E": END}[letter] for letter in row] for row in rows])


def any_ids(b: int, t: int, seed: int, most: int = 7) -> torch.Tensor:
    """With `most` at 7, three tokens in seven are a tag or an end."""
    return torch.randint(0, most, (b, t), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("row", "index"),
    [
        ("tIttIt", [0, 1, 1, 1, 2, 2]),
        ("IIt", [1, 2, 2]),
        ("ttt", [0, 0, 0]),
        ("I", [1]),
        ("ttI", [0, 0, 1]),
        ("IIIt", [1, 2, 3, 3]),
    ],
)
def test_a_token_reads_the_latest_tag_and_the_tag_its_own(row: str, index: list[int]) -> None:
    assert media_index(ids_of(row), IMAGE).tolist() == [index]


@pytest.mark.parametrize(
    ("row", "index"),
    [
        ("tItEtIt", [0, 1, 1, 1, 0, 2, 2]),
        ("EtIt", [0, 0, 1, 1]),
        ("IEIE", [1, 1, 2, 2]),
        ("IEEt", [1, 1, 0, 0]),
        ("IttE", [1, 1, 1, 1]),
        ("tEtE", [0, 0, 0, 0]),
        ("IItEttI", [1, 2, 2, 2, 0, 0, 3]),
    ],
)
def test_the_sign_still_reads_and_what_follows_it_reads_none_up_to_the_next_tag(
    row: str, index: list[int]
) -> None:
    assert media_index(ids_of(row), IMAGE, END).tolist() == [index]


def test_an_end_is_what_end_id_says_and_may_be_0() -> None:
    ids = ids_of("tItEt")
    assert media_index(ids, IMAGE).tolist() == [[0, 1, 1, 1, 1]]
    assert media_index(torch.where(ids == END, 0, ids), IMAGE, 0).tolist() == [[0, 1, 1, 1, 0]]


def test_rows_of_a_batch_are_counted_on_their_own_and_the_ids_stay() -> None:
    ids = any_ids(6, 17, seed=0)
    before = ids.clone()
    together = media_index(ids, IMAGE, END)
    for row in range(6):
        assert torch.equal(together[row], media_index(ids[row : row + 1], IMAGE, END)[0])
    assert torch.equal(ids, before)


def test_more_text_at_the_end_changes_nothing_before_it() -> None:
    """The index is causal, so that it can be made while a model writes."""
    ids = any_ids(5, 20, seed=1)
    whole = media_index(ids, IMAGE, END)
    for length in (1, 7, 19):
        assert torch.equal(media_index(ids[:, :length], IMAGE, END), whole[:, :length])


@pytest.mark.parametrize("seed", range(20))
def test_the_index_is_the_one_that_idefics_makes(seed: int) -> None:
    idefics = pytest.importorskip("transformers.models.idefics.processing_idefics")
    tokenizer = SimpleNamespace(convert_tokens_to_ids=lambda token: IMAGE, eos_token_id=END)
    ids = any_ids(4, 23, seed, most=3 + seed)
    theirs, _ = idefics.image_attention_mask_for_packed_input_ids(ids, tokenizer, "pt")
    assert torch.equal(media_index(ids, IMAGE, END), theirs + 1)  # theirs counts from 0 and has -1 for none

    n = max(1, int((ids == IMAGE).sum(dim=1).max()))
    one_hot = idefics.incremental_to_binary_attention_mask(theirs, "pt", num_classes=n)
    mask = media_mask(media_index(ids, IMAGE, END), torch.ones(4, n, 3, dtype=torch.bool))
    assert torch.equal(mask, repeat(one_hot, "b t n -> b t (n v)", v=3).bool())


def test_a_mask_keeps_the_real_visual_tokens_of_one_picture() -> None:
    index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    visual_mask = torch.tensor([[[1, 1, 1], [1, 0, 0]], [[0, 1, 1], [0, 0, 0]]]).bool()  # True = keep
    assert media_mask(index, visual_mask).int().tolist() == [
        [[0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]],
        [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]],
    ]


def test_a_picture_without_real_tokens_is_a_picture_that_is_not_there() -> None:
    """Filling a batch up with absent pictures leaves the other columns as they were."""
    index = media_index(any_ids(3, 12, seed=2), IMAGE, END)
    n = int(index.max())
    visual_mask = torch.rand(3, n, 4, generator=torch.Generator().manual_seed(3)) < 0.6
    filled = torch.cat([visual_mask, torch.zeros(3, 2, 4, dtype=torch.bool)], dim=1)
    assert torch.equal(media_mask(index, filled)[:, :, : n * 4], media_mask(index, visual_mask))
    assert not media_mask(index, filled)[:, :, n * 4 :].any()


def test_two_words_share_all_they_keep_or_nothing() -> None:
    index = media_index(any_ids(2, 19, seed=4), IMAGE, END)
    mask = media_mask(index, torch.ones(2, int(index.max()), 3, dtype=torch.bool)).float()
    shared = mask @ mask.mT
    same = (index[:, :, None] == index[:, None, :]) & (index > 0)[:, :, None]
    assert torch.equal(shared, 3.0 * same)


@pytest.mark.parametrize("wrong", [4, 17])
def test_an_index_beyond_the_pictures_names_both_numbers(wrong: int) -> None:
    index = torch.tensor([[0, 1, wrong]])
    with pytest.raises(ShapeError, match=rf"from 0 to {wrong}, and there are 3 pictures"):
        media_mask(index, torch.ones(1, 3, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=f"{wrong}"):
        influence(index, 3)


def test_other_bad_input_is_refused_with_its_numbers() -> None:
    with pytest.raises(ShapeError, match="from -1 to 1"):
        media_mask(torch.tensor([[-1, 1]]), torch.ones(1, 3, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match="1 rows and visual_mask 2"):
        # The tests' shape hook would be faster; learners do not have it.
        unwrap(media_mask)(torch.tensor([[0, 1]]), torch.ones(2, 3, 2, dtype=torch.bool))


def test_reaching_is_reading_carried_on_and_never_taken_back() -> None:
    index = media_index(any_ids(4, 30, seed=5), IMAGE, END)
    n = int(index.max()) + 2
    tables = influence(index, n)
    reads, reaches = tables["reads"], tables["reaches"]
    assert torch.equal(reads.sum(dim=2), (index > 0).long())
    assert bool((reads <= reaches).all())
    assert bool((reaches[:, :-1] <= reaches[:, 1:]).all())
    assert not reaches[:, :, -2:].any()


@pytest.mark.parametrize("layers", [1, 3])
def test_the_tables_are_what_changing_a_picture_shows(layers: int) -> None:
    """One layer is enough for a picture to reach all that comes later: the block stands before it."""
    draw = torch.Generator().manual_seed(6)
    index = media_index(ids_of("ttIttIEtttIt", "tItttttttttt"), IMAGE, END)
    sizes = LanguageSizes(n_words=9, d_model=16, n_layers=layers, n_heads=2, d_hidden=24)
    blocks = nn.ModuleList(gated_block(16, 10, n_heads=3, d_hidden=20, d_head=6) for _ in range(layers))
    model = Flamingo(LanguageModel(sizes), blocks).double().eval()
    for parameter in model.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=draw, dtype=torch.double)
    text = torch.randn(2, 12, 16, generator=draw, dtype=torch.double)
    pictures = torch.randn(2, 3, 5, 10, generator=draw, dtype=torch.double)
    mask = media_mask(index, torch.ones(2, 3, 5, dtype=torch.bool))
    keep, positions = torch.ones(2, 12, dtype=torch.bool), torch.arange(12).expand(2, -1)

    @torch.no_grad()
    def outputs(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        visual = rearrange(pictures, "b n v d -> b (n v) d")
        return blocks[0](text, visual, mask), model(visual, mask, text, keep, positions)

    before, tables = outputs(pictures), influence(index, 3)
    for number in range(3):
        changed = pictures.clone()
        changed[:, number] *= -1
        for key, old, new in zip(("reads", "reaches"), before, outputs(changed), strict=True):
            assert torch.equal((new - old).abs().amax(dim=2) > 1e-9, tables[key][:, :, number])
