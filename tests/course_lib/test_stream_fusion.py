"""One door for all, held against transformers' Llama: it gets the stream by hand and the blocks by hooks."""

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

from course_lib.errors import ShapeError
from course_lib.fusion_masks import prefix_lm_mask
from course_lib.language import LanguageModel, LanguageSizes
from course_lib.stand_ins import LinearRead
from course_lib.stream_fusion import StreamFusion, thumbnail
from tests.fixtures.llama import their_llama

SIZES = LanguageSizes(n_words=31, d_model=24, n_layers=5, n_heads=3, d_hidden=40, rope_base=700.0)
B, V, P, T, D_VISUAL = 3, 7, 4, 6, 10  # rows, visual tokens, those of them in the stream, words, width


def randomise(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.2)
    return module.eval()


class FirstFew(nn.Module):
    """P visual tokens, mapped: how many stand in the stream is known once it has been called."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(D_VISUAL, SIZES.d_model)

    def forward(self, visual: torch.Tensor) -> torch.Tensor:
        mapped: torch.Tensor = self.map(visual[:, :P])
        return mapped


@pytest.fixture
def models() -> tuple[LanguageModel, LlamaForCausalLM]:
    torch.manual_seed(0)
    theirs = LlamaForCausalLM(their_llama(SIZES))
    randomise(theirs)
    ours = LanguageModel(SIZES)
    ours.load_state_dict({name: one for name, one in theirs.state_dict().items() if name != "lm_head.weight"})
    return ours.eval(), theirs


@pytest.fixture
def asked() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture, words, and which of them are real (True = keep): padding behind, in front, and none."""
    keep = torch.ones(B, T, dtype=torch.bool)
    keep[0, 4:] = keep[1, :2] = False
    return torch.randn(B, V, D_VISUAL), torch.randint(1, SIZES.n_words, (B, T)), keep


def by_llama(theirs, front, ids, keep, sees=None, blocks=None, interval=1, visual=None, visual_mask=None):
    """Logits at the words, of a stream laid by hand; blocks work through hooks before the layers."""
    p = front.shape[1]
    stream = torch.cat([front, theirs.model.embed_tokens(ids)], dim=1)
    real = torch.cat([torch.ones(B, p, dtype=torch.bool), keep], dim=1)
    if sees is None:
        s = real.shape[1]
        sees = torch.ones(s, s, dtype=torch.bool).tril() & real[:, None] | torch.eye(s, dtype=torch.bool)
    places = torch.zeros_like(real, dtype=torch.long)
    for row, line in enumerate(real):  # counted one by one, on purpose
        places[row, line] = torch.arange(int(line.sum()))
    hooks = []
    for n, block in enumerate(blocks or []):

        def before(layer, args, kwargs, block=block):
            hidden = args[0]
            text = block(hidden[:, p:], visual, visual_mask)
            return (torch.cat([hidden[:, :p], text], dim=1), *args[1:]), kwargs

        layer = theirs.model.layers[n * interval]
        hooks.append(layer.register_forward_pre_hook(before, with_kwargs=True))
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[:, None]
    logits = theirs(inputs_embeds=stream, attention_mask=mask, position_ids=places).logits[:, p:]
    for hook in hooks:
        hook.remove()
    return logits


def blocks_for(n: int) -> nn.ModuleList:
    return nn.ModuleList(randomise(LinearRead(SIZES.d_model, D_VISUAL)) for _ in range(n))


@torch.no_grad()
def test_in_front_it_is_llama_reading_one_stream(models, asked):
    ours, theirs = models
    visual, ids, keep = asked
    enter = randomise(FirstFew())
    seen = StreamFusion(ours, enter)(visual, ids, keep)
    torch.testing.assert_close(
        seen[keep], by_llama(theirs, enter(visual), ids, keep)[keep], atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
@pytest.mark.parametrize(("interval", "n"), [(1, 5), (2, 3), (4, 2), (7, 1)])
def test_blocks_stand_before_every_nth_layer(models, asked, interval, n):
    ours, theirs = models
    visual, ids, keep = asked
    mask, blocks = torch.rand(B, V) < 0.7, blocks_for(n)
    mask[:, 0] = True
    for enter, front in ((None, torch.zeros(B, 0, SIZES.d_model)), (FirstFew(), None)):
        front = enter(visual) if enter is not None else front
        seen = StreamFusion(ours, enter, blocks, interval)(visual, ids, keep, mask)
        wanted = by_llama(theirs, front, ids, keep, None, blocks, interval, visual, mask)
        torch.testing.assert_close(seen[keep], wanted[keep], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_prefix_lm_is_llama_under_the_same_mask(models, asked):
    ours, theirs = models
    visual, ids, keep = asked
    enter = randomise(FirstFew())
    real = torch.cat([torch.ones(B, P, dtype=torch.bool), keep], dim=1)
    sees = prefix_lm_mask(real, torch.arange(P + T).expand(B, -1) < P + 3)
    seen = StreamFusion(ours, enter)(visual, ids, keep, sees=sees)
    wanted = by_llama(theirs, enter(visual), ids, keep, sees)
    torch.testing.assert_close(seen[keep], wanted[keep], atol=1e-5, rtol=1e-5)
    causal = StreamFusion(ours, enter)(visual, ids, keep)
    assert not torch.allclose(seen[keep], causal[keep], atol=1e-3)


def test_gradients_reach_all_that_trains_and_nothing_that_is_frozen(models, asked):
    ours, _ = models
    ours.requires_grad_(False)
    fusion = StreamFusion(ours, FirstFew(), blocks_for(3), interval=2)
    fusion(*asked).square().mean().backward()
    for name, parameter in fusion.named_parameters():
        assert (parameter.grad is None) is name.startswith("language_model."), name


def test_what_does_not_fit_is_refused_with_the_numbers(models):
    ours, _ = models
    with pytest.raises(ValueError, match="neither"):
        StreamFusion(ours)
    with pytest.raises(ValueError, match=r"places for 3 blocks, and 4 were given"):
        StreamFusion(ours, blocks=blocks_for(4), interval=2)
    with pytest.raises(ValueError, match="interval=0"):
        StreamFusion(ours, blocks=blocks_for(5), interval=0)


# -- thumbnail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grid", "side"), [((4, 6), 2), ((6, 9), 3), ((5, 5), 1), ((3, 3), 3)])
def test_a_thumbnail_is_the_mean_of_each_cell(grid, side):
    rows, columns = grid
    visual = torch.randn(2, rows * columns, 5)
    seen, board = thumbnail(visual, grid, side), visual.reshape(2, rows, columns, 5)
    high, wide = rows // side, columns // side
    for n in range(side * side):
        top, left = n // side * high, n % side * wide
        cell = board[:, top : top + high, left : left + wide]
        torch.testing.assert_close(seen[:, n], cell.mean(dim=(1, 2)))
    assert seen.shape == (2, side * side, 5)


def test_a_thumbnail_that_does_not_fit_names_the_nearest_that_does():
    with pytest.raises(ShapeError, match=r"216"):
        thumbnail(torch.zeros(1, 210, 2), (12, 18), 2)
    for side, near in ((4, 3), (9, 6), (0, 1)):
        with pytest.raises(ShapeError, match=rf"{side}.*\b{near}\b"):
            thumbnail(torch.zeros(1, 216, 2), (12, 18), side)
