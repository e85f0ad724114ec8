"""Dense alignment: the target is what the language model would have written, and seconds of it are enough."""

import pytest
import torch
from torch import nn

from course_lib.alignment import align_bridge, fused_tokens
from course_lib.errors import ShapeError
from course_lib.few_shot import few_shot_accuracy
from course_lib.microworld import Scene, Thing
from course_lib.showcase import mlp
from course_lib.world import MicroWorld


def test_a_cells_token_is_the_sum_of_its_things_words() -> None:
    world = MicroWorld.load(200, 24)
    words, ids = world.language_model.model.embed_tokens.weight, world.vocabulary.ids
    scene = Scene((Thing("big", "red", "ring", 1, 2),), seed=3)
    tokens = fused_tokens(world, [scene])
    assert tokens.shape == (1, 9, 128)
    expected = sum(words[ids[name]] for name in ("big", "red", "ring", "middle", "right"))
    torch.testing.assert_close(tokens[0, 5], expected)
    empty = words[world.vocabulary.image_id]
    assert all(torch.equal(tokens[0, cell], empty) for cell in range(9) if cell != 5)


def test_a_bridge_with_other_tokens_is_told_how_many_are_needed() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(512, 128)

        def forward(self, visual: torch.Tensor) -> torch.Tensor:
            return self.linear(visual[:, :4])

    with pytest.raises(
        ShapeError, match="returned 4 tokens a picture; alignment needs one for each of the 9"
    ):
        align_bridge(Half(), steps=1, world=MicroWorld.load(200, 24), progress=False)


@pytest.mark.slow
def test_seconds_of_alignment_make_it_see_and_its_tokens_can_be_used_in_a_new_way() -> None:
    world = MicroWorld.load(2000, 200)
    result = align_bridge(mlp(world), steps=300, world=world, progress=False)
    assert result.accuracy > 0.9
    assert result.unseen > 0.85
    assert max(result.shuffled, result.blank) < result.blind + 0.05
    assert few_shot_accuracy(result.model, 2, count=100) > 0.85
    assert few_shot_accuracy(result.model, 2, query="shuffled", count=100) < 0.65
