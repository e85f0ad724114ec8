"""One stack for queries and text: transformers' numbers to 1e-5, and the laws that the masks promise."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from course_lib.blip2_masks import TASKS, qformer_mask
from course_lib.blip2_qformer import QFormer, QFormerLayer
from course_lib.errors import ShapeError
from course_lib.post_norm import PostNormAttention
from tests.fixtures.blip2 import (
    D_HIDDEN,
    D_VISUAL,
    EVERY,
    HEADS,
    KEEP,
    KEEP_VISUAL,
    LAYERS,
    B,
    D,
    Q,
    T,
    V,
    added,
    from_instructblip,
    qformer,
    redrawn,
    their_instructed_qformer,
    their_qformer,
)

NO_GRAD = pytest.mark.usefixtures("no_grad")


@pytest.fixture
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def visual() -> Tensor:
    return torch.randn(B, V, D_VISUAL)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(B, Q + T, D)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def only_text(n: int, made: QFormer) -> list[nn.Module]:
    layer = made.encoder.layer[n]
    assert isinstance(layer, QFormerLayer)
    return [layer.intermediate, layer.output]


# -- transformers' numbers -------------------------------------------------------------------------------


@NO_GRAD
@pytest.mark.parametrize("cross_every", EVERY)
def test_queries_alone_read_a_picture_as_blip2s_do(cross_every: int, visual: Tensor) -> None:
    from transformers import Blip2QFormerModel

    theirs = redrawn(Blip2QFormerModel(their_qformer(cross_every, text=False)))
    ours = qformer(cross_every, text=False)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    queries = torch.randn(B, Q, D)
    for keep in (torch.ones_like(KEEP_VISUAL), KEEP_VISUAL):
        expected = theirs(
            query_embeds=queries, encoder_hidden_states=visual, encoder_attention_mask=added(keep)
        )
        same(ours(queries, Q, None, visual, keep), expected.last_hidden_state)
    same(ours(queries, Q, None, visual), ours(queries, Q, None, visual, torch.ones_like(KEEP_VISUAL)))


@NO_GRAD
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cross_every", EVERY)
def test_queries_and_text_are_blip2s_under_every_mask(
    cross_every: int, task: str, tokens: Tensor, visual: Tensor
) -> None:
    from transformers import Blip2QFormerModel

    theirs = redrawn(Blip2QFormerModel(their_qformer(cross_every)))
    ours = qformer(cross_every)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    sees = qformer_mask(task, Q, KEEP)
    expected = theirs(
        query_embeds=tokens,
        query_length=Q,
        attention_mask=added(sees),
        encoder_hidden_states=visual,
        encoder_attention_mask=added(KEEP_VISUAL),
    )
    same(ours(tokens, Q, sees, visual, KEEP_VISUAL), expected.last_hidden_state)


@NO_GRAD
def test_text_alone_is_blip2s_and_needs_no_picture(tokens: Tensor) -> None:
    from transformers import Blip2QFormerModel

    theirs = redrawn(Blip2QFormerModel(their_qformer()))
    ours = qformer()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    text, sees = tokens[:, Q:], qformer_mask("match", 0, KEEP)
    expected = theirs(query_embeds=text, query_length=0, attention_mask=added(sees))
    same(ours(text, 0, sees), expected.last_hidden_state)


@NO_GRAD
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cross_every", EVERY)
def test_instructblips_qformer_is_ours_with_its_first_norm_among_the_embeddings(
    cross_every: int, task: str, visual: Tensor
) -> None:
    from transformers import InstructBlipQFormerModel

    theirs = redrawn(InstructBlipQFormerModel(their_instructed_qformer(cross_every)))
    ours = qformer(cross_every)
    ours.load_state_dict(from_instructblip(theirs.state_dict()), strict=True)
    queries, ids = torch.randn(B, Q, D), torch.randint(1, 31, (B, T))
    sees = qformer_mask(task, Q, KEEP)
    expected = theirs(
        input_ids=ids,
        query_embeds=queries,
        attention_mask=added(sees),
        encoder_hidden_states=visual,
        encoder_attention_mask=added(KEEP_VISUAL),
    )
    words = theirs.embeddings.word_embeddings(ids) + theirs.embeddings.position_embeddings.weight[:T]
    same(ours(torch.cat([queries, words], dim=1), Q, sees, visual, KEEP_VISUAL), expected.last_hidden_state)


@NO_GRAD
def test_the_attention_of_a_layer_is_torchs_then_add_and_norm(tokens: Tensor, visual: Tensor) -> None:
    ours = redrawn(PostNormAttention(D, D_VISUAL, HEADS, 0.1))
    theirs = nn.MultiheadAttention(D, HEADS, kdim=D_VISUAL, vdim=D_VISUAL, batch_first=True).eval()
    parts = [getattr(ours.attention, name) for name in ("query", "key", "value")]
    for letter, part in zip("qkv", parts, strict=True):
        getattr(theirs, f"{letter}_proj_weight").copy_(part.weight)
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.output.dense.state_dict())
    read, _ = theirs(tokens, visual, visual, key_padding_mask=~KEEP_VISUAL)  # theirs: True = hide
    same(ours(tokens, visual, KEEP_VISUAL[:, None]), ours.output.LayerNorm(read + tokens))


# -- laws ------------------------------------------------------------------------------------------------


@NO_GRAD
def test_under_contrast_one_pass_is_two_passes(tokens: Tensor, visual: Tensor) -> None:
    made = qformer()
    both = made(tokens, Q, qformer_mask("contrast", Q, KEEP), visual)
    same(both[:, :Q], made(tokens[:, :Q], Q, None, visual))
    same(both[:, Q:], made(tokens[:, Q:], 0, qformer_mask("match", 0, KEEP)))
    for task in ("match", "write"):  # where text reads queries it is no such thing
        other = made(tokens, Q, qformer_mask(task, Q, KEEP), visual)
        assert apart(other[:, Q:], both[:, Q:]) > 0.01


@NO_GRAD
@pytest.mark.parametrize("task", TASKS)
def test_the_texts_feed_forwards_touch_queries_only_where_queries_see_text(
    task: str, tokens: Tensor, visual: Tensor
) -> None:
    made, sees = qformer(), qformer_mask(task, Q, KEEP)
    before = made(tokens, Q, sees, visual)
    for n in range(LAYERS):
        for part in only_text(n, made):
            redrawn(part)
    after = made(tokens, Q, sees, visual)
    assert apart(after[:, Q:], before[:, Q:]) > 0.01
    if task == "match":
        assert apart(after[:, :Q], before[:, :Q]) > 0.01
    else:
        same(after[:, :Q], before[:, :Q])


@NO_GRAD
def test_the_queries_feed_forwards_do_not_touch_text_under_contrast(tokens: Tensor, visual: Tensor) -> None:
    made, sees = qformer(), qformer_mask("contrast", Q, KEEP)
    before = made(tokens, Q, sees, visual)
    for layer in made.encoder.layer:
        assert isinstance(layer, QFormerLayer)
        redrawn(layer.intermediate_query)
        redrawn(layer.output_query)
        if layer.looks:
            redrawn(layer.crossattention)
    after = made(tokens, Q, sees, visual)
    same(after[:, Q:], before[:, Q:])
    assert apart(after[:, :Q], before[:, :Q]) > 0.01


@NO_GRAD
def test_a_picture_reaches_text_through_the_queries_and_in_no_other_way(
    tokens: Tensor, visual: Tensor
) -> None:
    made = qformer()
    for task in TASKS:
        sees = qformer_mask(task, Q, KEEP)
        one, other = made(tokens, Q, sees, visual), made(tokens, Q, sees, torch.randn(B, V, D_VISUAL))
        assert apart(one[:, :Q], other[:, :Q]) > 0.01
        if task == "contrast":
            same(one[:, Q:], other[:, Q:])
        else:
            assert apart(one[:, Q:], other[:, Q:]) > 0.01


@NO_GRAD
@pytest.mark.parametrize("task", TASKS)
def test_queries_have_no_order(task: str, tokens: Tensor, visual: Tensor) -> None:
    made, sees = qformer(), qformer_mask(task, Q, KEEP)
    order = torch.tensor([3, 0, 4, 1, 2])
    out = made(tokens, Q, sees, visual, KEEP_VISUAL)
    turned = made(torch.cat([tokens[:, order], tokens[:, Q:]], dim=1), Q, sees, visual, KEEP_VISUAL)
    same(turned[:, :Q], out[:, order])
    same(turned[:, Q:], out[:, Q:])
    assert apart(turned[:, :Q], out[:, :Q]) > 0.01


@NO_GRAD
def test_visual_tokens_have_no_order(visual: Tensor) -> None:
    made, queries, order = qformer(), torch.randn(B, Q, D), torch.randperm(V)
    same(
        made(queries, Q, None, visual[:, order], KEEP_VISUAL[:, order]),
        made(queries, Q, None, visual, KEEP_VISUAL),
    )


@NO_GRAD
def test_what_stands_in_visual_padding_makes_no_difference(tokens: Tensor, visual: Tensor) -> None:
    made, sees = qformer(), qformer_mask("match", Q, KEEP)
    dirty = torch.where(KEEP_VISUAL[..., None], visual, 1e3)
    out = made(tokens, Q, sees, visual, KEEP_VISUAL)
    same(made(tokens, Q, sees, dirty, KEEP_VISUAL), out)
    same(made(tokens[1:2], Q, sees[1:2], visual[1:2, :6]), out[1:2])  # and so does its length
    assert apart(made(tokens, Q, sees, dirty)[1:], out[1:]) > 0.01


@NO_GRAD
@pytest.mark.parametrize("task", TASKS)
def test_what_stands_in_the_padding_of_a_text_makes_no_difference(
    task: str, tokens: Tensor, visual: Tensor
) -> None:
    made, sees = qformer(), qformer_mask(task, Q, KEEP)
    real = torch.cat([torch.ones(B, Q, dtype=torch.bool), KEEP], dim=1)
    dirty = torch.where(real[..., None], tokens, torch.randn(B, Q + T, D))
    out, other = made(tokens, Q, sees, visual), made(dirty, Q, sees, visual)
    same(other[real], out[real])
    assert other.isfinite().all()
    unmasked = qformer_mask("match", Q, torch.ones_like(KEEP))
    assert apart(made(dirty, Q, unmasked, visual)[real], made(tokens, Q, unmasked, visual)[real]) > 0.01


@NO_GRAD
def test_a_word_that_is_written_sees_no_later_word_and_all_queries(tokens: Tensor, visual: Tensor) -> None:
    made, sees = qformer(), qformer_mask("write", Q, torch.ones_like(KEEP))
    out = made(tokens, Q, sees, visual)
    for n in range(T):
        changed = tokens.clone()
        changed[:, Q + n] = torch.randn(B, D)
        other = made(changed, Q, sees, visual)
        same(other[:, : Q + n], out[:, : Q + n])
        assert (other[:, Q + n :] - out[:, Q + n :]).abs().amax(dim=-1).min() > 1e-4
    for n in range(Q):
        changed = tokens.clone()
        changed[:, n] = torch.randn(B, D)
        assert (made(changed, Q, sees, visual) - out).abs().amax(dim=-1).min() > 1e-4


def test_equal_queries_stay_equal_and_learn_the_same(visual: Tensor) -> None:
    made = qformer()
    queries = torch.randn(B, 1, D).repeat(1, Q, 1).requires_grad_()
    out = made(queries, Q, None, visual)
    same(out, out[:, :1].expand(-1, Q, -1))
    (out * torch.randn(B, 1, D)).sum().backward()
    assert queries.grad is not None
    assert queries.grad.abs().max() > 1e-3
    same(queries.grad, queries.grad[:, :1].expand(-1, Q, -1))
    other = made(torch.randn(B, Q, D), Q, None, visual).detach()
    assert apart(other, other[:, :1].expand(-1, Q, -1)) > 0.01


@pytest.mark.parametrize(("cross_every", "look"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (3, [0, 3])])
def test_the_layers_that_read_the_picture_are_every_nth_from_the_first(
    cross_every: int, look: list[int]
) -> None:
    made = qformer(cross_every)
    assert [n for n, layer in enumerate(made.encoder.layer) if hasattr(layer, "crossattention")] == look


def test_a_layer_ends_in_a_norm_of_each_side(tokens: Tensor, visual: Tensor) -> None:
    made = QFormer(D, D_VISUAL, LAYERS, HEADS, D_HIDDEN).eval()  # fresh: every norm is at 1 and 0
    out = made(tokens, Q, None, visual)
    same(out.mean(dim=-1), torch.zeros(B, Q + T))
    same(out.var(dim=-1, correction=0), torch.ones(B, Q + T))


# Adding the same number to every score changes no softmax: a key's bias has no gradient but rounding.
def test_everything_learns(tokens: Tensor, visual: Tensor) -> None:
    made = qformer()
    tokens.requires_grad_()
    visual.requires_grad_()
    out = made(tokens, Q, qformer_mask("match", Q, KEEP), visual, KEEP_VISUAL)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad.abs().max() > 1e-3) != name.endswith("key.bias"), name
    assert tokens.grad is not None
    assert tokens.grad.any(dim=-1).all()
    assert visual.grad is not None
    assert torch.equal(visual.grad.any(dim=-1), KEEP_VISUAL)


@NO_GRAD
def test_dropout_is_for_training_and_for_attention_too(tokens: Tensor, visual: Tensor) -> None:
    made = qformer(dropout=0.5)
    out = made(tokens, Q, None, visual)
    same(made(tokens, Q, None, visual), out)
    made.train()
    assert apart(made(tokens, Q, None, visual), out) > 0.01
    for part in made.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    assert apart(made(tokens, Q, None, visual), out) > 0.01  # the rate within the attention is left
    still = qformer(dropout=0.0)
    same(still.train()(tokens, Q, None, visual), still.eval()(tokens, Q, None, visual))


# -- what cannot be --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_heads", [5, 0, -2])
def test_heads_that_do_not_divide_the_width_are_named(n_heads: int) -> None:
    numbers = rf"d_model=12 cannot be cut into n_heads={n_heads} equal heads.*divides 12"
    with pytest.raises(ShapeError, match=numbers):
        QFormer(D, D_VISUAL, LAYERS, n_heads, D_HIDDEN)


@pytest.mark.parametrize("cross_every", [0, -1])
def test_layers_that_look_never_are_named(cross_every: int) -> None:
    with pytest.raises(ShapeError, match=rf"cross_every={cross_every} .*at least 1"):
        QFormer(D, D_VISUAL, LAYERS, HEADS, D_HIDDEN, cross_every)


def test_queries_without_a_picture_are_counted(tokens: Tensor) -> None:
    with pytest.raises(ShapeError, match="5 queries and no picture to read; give visual, or n_queries=0"):
        qformer()(tokens, Q)


def test_text_without_a_text_side_is_counted(tokens: Tensor, visual: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"7 text tokens come in, .*text=True"):
        qformer(text=False)(tokens, Q, None, visual)


@pytest.mark.parametrize("n_queries", [13, -1])
def test_more_queries_than_tokens_are_named(n_queries: int, tokens: Tensor, visual: Tensor) -> None:
    with pytest.raises(ShapeError, match=rf"n_queries={n_queries} cannot be among 12 tokens; .*from 0 to 12"):
        qformer()(tokens, n_queries, None, visual)
