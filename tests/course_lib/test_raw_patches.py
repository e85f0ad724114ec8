"""Raw patches into the stream: laws of both parts, and Fuyu's patches, stream and logits to 1e-5."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import nn
from transformers import FuyuConfig, FuyuForCausalLM
from transformers.models.fuyu.image_processing_pil_fuyu import FuyuImageProcessorPil
from transformers.models.fuyu.processing_fuyu import FuyuProcessor

from course_lib.errors import ShapeError
from course_lib.full_size import count
from course_lib.raw_patches import EarlyFusion, raw_patches

# Batch, channels, rows, columns, side of a patch, width: all different, so that no swap goes unseen.
B, C, ROWS, COLUMNS, PATCH, D = 2, 3, 4, 7, 5, 24
WORDS, IMAGE, NEWLINE = 53, 41, 17


def redrawn(module: nn.Module, std: float = 0.3) -> nn.Module:
    """A fresh bias is small and a fresh norm is 1: a fresh model proves little."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std)
    return module.eval()


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.randn(B, C, ROWS * PATCH, COLUMNS * PATCH)


@pytest.fixture
def fuyu() -> FuyuForCausalLM:
    config = FuyuConfig(
        patch_size=PATCH,
        num_channels=C,
        image_token_id=IMAGE,
        text_config={
            "model_type": "persimmon",
            "vocab_size": WORDS,
            "hidden_size": D,
            "intermediate_size": 44,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "hidden_act": "relu2",
            "qk_layernorm": True,
            "max_position_embeddings": 96,
            "partial_rotary_factor": 0.5,
        },
        attn_implementation="eager",
    )
    return redrawn(FuyuForCausalLM(config))  # type: ignore[return-value]


@pytest.fixture
def early(fuyu: FuyuForCausalLM) -> EarlyFusion:
    """Ours with Fuyu's numbers in it: the map by its name, the newline from the row of its word."""
    ours = EarlyFusion(PATCH * PATCH * C, D)
    theirs = {f"vision_embed_tokens.{k}": v for k, v in fuyu.model.vision_embed_tokens.state_dict().items()}
    word = fuyu.get_input_embeddings().weight[NEWLINE]
    ours.load_state_dict({**theirs, "newline": word.detach().clone()}, strict=True)
    return ours.eval()


# -- Fuyu ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("c", "rows", "columns", "patch"), [(3, 4, 7, 5), (2, 6, 3, 4), (1, 1, 5, 2)])
def test_patches_are_fuyus_number_for_number(c: int, rows: int, columns: int, patch: int) -> None:
    pictures = torch.randn(B, c, rows * patch, columns * patch)
    processor = FuyuImageProcessorPil(patch_size={"height": patch, "width": patch})
    theirs = torch.from_numpy(processor.patchify_image(np.ascontiguousarray(pictures.numpy())))
    assert torch.equal(raw_patches(pictures, patch), theirs)


def fuyus_ids(rows: int, columns: int) -> torch.Tensor:
    """What Fuyu's own processor writes for a picture, as ids: it needs no tokenizer for that."""
    names = SimpleNamespace(image_token="p", image_newline_token="n")
    laid = FuyuProcessor.replace_image_token(names, {}, 0, num_patches=rows * columns, row_width=columns)
    return torch.tensor([{"p": IMAGE, "n": NEWLINE}[one] for one in laid.removesuffix("<s>")])


def test_the_stream_is_fuyus_and_so_are_the_logits(
    fuyu: FuyuForCausalLM, early: EarlyFusion, pictures: torch.Tensor
) -> None:
    heard: list[torch.Tensor] = []

    def listen(module: nn.Module, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        heard.append(kwargs["inputs_embeds"])

    fuyu.model.language_model.register_forward_pre_hook(listen, with_kwargs=True)
    question = torch.randint(0, IMAGE, (B, 6))
    patches = raw_patches(pictures, PATCH)
    with torch.no_grad():
        theirs = fuyu(
            input_ids=torch.cat([fuyus_ids(ROWS, COLUMNS).expand(B, -1), question], dim=1),
            pixel_values=patches,
        ).logits
        seen = early(patches, COLUMNS)
        assert seen.shape == (B, ROWS * (COLUMNS + 1), D)
        torch.testing.assert_close(seen, heard[0][:, : seen.shape[1]], atol=1e-5, rtol=0)

        whole = torch.cat([seen, fuyu.get_input_embeddings()(question)], dim=1)
        ours = fuyu(inputs_embeds=whole).logits
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)

        # The control: with the rows cut elsewhere, as many patches and other newlines, all of it differs.
        other = torch.cat([early(patches, 2 * COLUMNS), fuyu.get_input_embeddings()(question)], dim=1)
        assert (fuyu(inputs_embeds=other).logits[:, -1] - theirs[:, -1]).abs().max() > 1e-2


def test_fuyus_map_has_eleven_million_parameters_a_thousandth_of_the_model() -> None:
    with torch.device("meta"):
        theirs, ours = FuyuForCausalLM(FuyuConfig()), EarlyFusion(30 * 30 * 3, 4096)
    assert count(theirs.model.vision_embed_tokens) == count(ours.vision_embed_tokens) == 11_063_296
    assert count(theirs) == 9_408_238_592
    assert count(ours) == 11_063_296 + 4096


# -- laws of the patches ---------------------------------------------------------------------------------


def test_patches_laid_flat_can_be_put_together_again(pictures: torch.Tensor) -> None:
    again = rearrange(
        raw_patches(pictures, PATCH),
        "b (row col) (y x c) -> b c (row y) (col x)",
        row=ROWS,
        y=PATCH,
        x=PATCH,
    )
    assert torch.equal(again, pictures)


def test_a_number_stands_where_its_row_column_pixel_and_channel_say() -> None:
    picture = torch.arange(C * 6 * 10).float().reshape(1, C, 6, 10)
    patches = raw_patches(picture, 2)
    for y, x, c in [(0, 0, 0), (3, 7, 2), (5, 0, 1), (4, 9, 2)]:
        patch, number = (y // 2) * 5 + x // 2, ((y % 2) * 2 + x % 2) * C + c
        assert patches[0, patch, number] == picture[0, c, y, x]


def test_the_whole_picture_may_be_one_patch_and_each_pixel_may_be_one() -> None:
    picture = torch.randn(1, C, 6, 6)
    assert torch.equal(raw_patches(picture, 6)[0, 0], rearrange(picture, "1 c y x -> (y x c)"))
    assert torch.equal(raw_patches(picture, 1), rearrange(picture, "1 c y x -> 1 (y x) c"))


@pytest.mark.parametrize(
    ("height", "width", "patch", "said"),
    [
        (224, 224, 30, ("30 pixels", "224 x 224", "210 x 210")),
        (20, 33, 5, ("20 x 33", "20 x 35")),
        (22, 35, 5, ("22 x 35", "20 x 35")),
        (3, 35, 8, ("3 x 35", "8 x 32")),
        (20, 35, 0, ("patch=0",)),
        (20, 35, -5, ("patch=-5",)),
    ],
)
def test_a_picture_that_patches_do_not_tile_is_refused_with_the_nearest_that_they_tile(
    height: int, width: int, patch: int, said: tuple[str, ...]
) -> None:
    with pytest.raises(ShapeError) as caught:
        raw_patches(torch.zeros(1, C, height, width), patch)
    assert all(words in str(caught.value) for words in said)


# -- laws of the stream ----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 2, 4, 7, 14, 28])
def test_a_newline_stands_after_each_row_and_nowhere_else(columns: int) -> None:
    early = redrawn(EarlyFusion(10, 6))
    patches = torch.randn(B, 28, 10)
    rows = early(patches, columns).reshape(B, 28 // columns, columns + 1, 6)
    assert torch.equal(rows[:, :, -1], early.newline.expand(B, 28 // columns, 6))
    tokens = rows[:, :, :-1].reshape(B, 28, 6)
    torch.testing.assert_close(tokens, early.vision_embed_tokens(patches), atol=1e-6, rtol=0)


def test_a_patch_moves_one_token_and_every_parameter_learns() -> None:
    early = redrawn(EarlyFusion(10, 6))
    patches = torch.randn(B, 12, 10, requires_grad=True)
    before = early(patches, 4)
    changed = patches.detach().clone()
    changed[1, 9] += 1.0
    moved = (early(changed, 4) - before).abs().amax(dim=-1) > 1e-6
    assert moved.nonzero().tolist() == [[1, 9 + 9 // 4]]
    before.sum().backward()
    assert torch.equal(early.newline.grad, torch.full((6,), 3.0 * B))
    assert all(p.grad is not None and bool(p.grad.any()) for p in early.parameters())
    assert patches.grad is not None
    assert bool(patches.grad.all())


@pytest.mark.parametrize("columns", [5, 0, -4, 24])
def test_rows_that_do_not_hold_the_patches_are_refused_with_both_numbers(columns: int) -> None:
    with pytest.raises(ShapeError, match=rf"12 .*{columns}"):
        EarlyFusion(10, 6)(torch.zeros(1, 12, 10), columns)
