"""Token budget: known counts, and laws that hold for every size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.token_budget import BRIDGES, token_budget

WINDOW = {"context": 8192, "text_per_turn": 60}


@pytest.mark.parametrize(
    ("bridge", "image_size", "patch_size", "extra", "per_image"),
    [
        ("linear", 224, 14, {}, 256),  # LLaVA
        ("mlp", 336, 14, {}, 576),  # LLaVA-1.5
        ("mlp", 224, 16, {}, 196),
        ("pixel_shuffle", 224, 16, {"factor": 2}, 49),  # nanoVLM 0.1
        ("pixel_shuffle", 512, 16, {"factor": 4}, 64),
        ("qformer", 224, 14, {}, 32),  # BLIP-2
        ("gated_cross_attention", 224, 14, {"n_queries": 64}, 1),  # Flamingo: its 64 never enter the stream
    ],
)
def test_known_models(
    bridge: str, image_size: int, patch_size: int, extra: dict[str, int], per_image: int
) -> None:
    assert token_budget(bridge, image_size, patch_size, **WINDOW, **extra)["per_image"] == per_image


def test_turns_of_a_conversation_with_llava() -> None:
    assert token_budget("mlp", 336, 14, **WINDOW) == {"per_image": 576, "turns": 12, "left": 560}


def test_a_window_shorter_than_a_turn_has_no_turn() -> None:
    assert token_budget("mlp", 336, 14, context=600, text_per_turn=60) == {
        "per_image": 576,
        "turns": 0,
        "left": 600,
    }


@given(
    bridge=st.sampled_from(BRIDGES),
    side=st.integers(1, 20).map(lambda blocks: 2 * blocks),
    patch_size=st.integers(1, 32),
    context=st.integers(0, 100_000),
    text_per_turn=st.integers(1, 500),
)
def test_turns_and_what_is_left_make_up_the_window(
    bridge: str, side: int, patch_size: int, context: int, text_per_turn: int
) -> None:
    found = token_budget(bridge, side * patch_size, patch_size, context, text_per_turn, factor=2)
    turn = found["per_image"] + text_per_turn
    assert found["turns"] * turn + found["left"] == context
    assert 0 <= found["left"] < turn


@given(side=st.integers(1, 12), factor=st.integers(1, 5), patch_size=st.integers(1, 20))
def test_merging_divides_the_patches_by_the_block(side: int, factor: int, patch_size: int) -> None:
    sizes = (side * factor * patch_size, patch_size)
    merged = token_budget("pixel_shuffle", *sizes, **WINDOW, factor=factor)["per_image"]
    assert merged * factor**2 == token_budget("mlp", *sizes, **WINDOW, factor=factor)["per_image"]


def test_an_unknown_bridge_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'q-former'; choose one of linear, mlp, pixel_shuffle, qformer"):
        token_budget("q-former", 224, 14, **WINDOW)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_patches_that_do_not_tile_the_picture_are_named(bridge: str) -> None:
    with pytest.raises(ValueError, match="patches of 14 pixels do not tile a picture of 225"):
        token_budget(bridge, 225, 14, **WINDOW)


def test_blocks_that_do_not_tile_the_patches_are_named() -> None:
    with pytest.raises(ValueError, match="blocks of 3 do not tile 14 x 14 patches"):
        token_budget("pixel_shuffle", 224, 16, **WINDOW, factor=3)
