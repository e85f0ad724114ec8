"""Writing in BLIP-2's first stage: against a slow derivation without a mask, and three laws.

No released model has this head and this mask together, so the oracle is here: one token at a time, each made
from what stands before it. What a token may not see is not there yet, and so there is nothing to hide.

Axes in this file:
    q  queries      t  text tokens      v  visual tokens      d  width      w  words
"""

import math

import pytest
import torch
from torch import Tensor, nn

from course_lib.blip2_qformer import QFormer
from course_lib.blip2_stage1 import Stage1, itg_loss
from course_lib.stand_ins import TinyMatcher, TinyWriter

N_QUERIES, D_MODEL, D_VISUAL, N_LAYERS, N_HEADS, D_HIDDEN, N_WORDS, N_POSITIONS = 3, 12, 10, 4, 2, 14, 17, 9
B, T, V = 5, 8, 6
WRITE_ID = N_WORDS - 1


def any_model(seed: int = 0) -> Stage1:
    """Every parameter drawn anew, large enough that what is read five steps back shows in a logit."""
    torch.manual_seed(seed)
    qformer = QFormer(D_MODEL, D_VISUAL, N_LAYERS, N_HEADS, D_HIDDEN)
    model = Stage1(qformer, N_QUERIES, D_MODEL, N_WORDS, N_POSITIONS, d_shared=4).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_gain = "norm.weight" in name.lower()
            parameter.normal_(mean=1.0 if is_gain else 0.0, std=0.3 if is_gain else 0.6)
    return model.double()  # so that whoever is right agrees to nine digits


def any_pairs(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([8, 2, 5, 3, 7])
    return (
        torch.randn(B, V, D_VISUAL, generator=draw).double(),
        torch.randint(0, WRITE_ID, (B, T), generator=draw),
        torch.arange(T) < lengths[:, None],
    )


# -- the derivation: float64, one token, one head and one word at a time ---------------------------------


def dense(layer: nn.Linear, x: Tensor) -> Tensor:
    return layer.weight.double() @ x + layer.bias.double()


def normed(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-12).sqrt() * layer.weight.double() + layer.bias.double()


def gelu(x: Tensor) -> Tensor:
    return torch.stack([number * (1 + math.erf(number / math.sqrt(2))) / 2 for number in x])


def attended(block: nn.Module, x: Tensor, others: list[Tensor]) -> Tensor:
    """Token x reads the others, all of them; then add and norm."""
    parts = block.attention
    asked = dense(parts.query, x)
    keys, values = ([dense(layer, other) for other in others] for layer in (parts.key, parts.value))
    width = D_MODEL // N_HEADS
    heads = []
    for head in range(N_HEADS):
        mine = slice(head * width, (head + 1) * width)
        weights = [math.exp(float(asked[mine] @ key[mine]) / math.sqrt(width)) for key in keys]
        pairs = zip(weights, values, strict=True)
        heads.append(sum(weight * value[mine] for weight, value in pairs) / sum(weights))
    return normed(block.output.LayerNorm, dense(block.output.dense, torch.cat(heads)) + x)


def fed(wide: nn.Module, narrow: nn.Module, x: Tensor) -> Tensor:
    return normed(narrow.LayerNorm, dense(narrow.dense, gelu(dense(wide.dense, x))) + x)


def slow_queries(model: Stage1, picture: Tensor) -> list[list[Tensor]]:
    """What the queries are before each layer. They see each other and the picture: no text is there."""
    states = [normed(model.qformer.layernorm, query.double()) for query in model.query_tokens[0]]
    history = [states]
    for number, layer in enumerate(model.qformer.encoder.layer):
        states = [attended(layer.attention, state, states) for state in states]
        if number % 2 == 0:
            states = [attended(layer.crossattention, state, list(picture.double())) for state in states]
        states = [fed(layer.intermediate_query, layer.output_query, state) for state in states]
        history.append(states)
    return history


def slow_logits(model: Stage1, picture: Tensor, ids: list[int]) -> list[Tensor]:
    """Behind each token in turn; tokens that come later have not been written yet."""
    queries = slow_queries(model, picture)
    words, places = model.embeddings.word_embeddings.weight, model.embeddings.position_embeddings.weight
    written: list[list[Tensor]] = [[] for _ in range(N_LAYERS)]
    found = []
    for place, word in enumerate(ids):
        state = normed(model.qformer.layernorm, words[word].double() + places[place].double())
        for number, layer in enumerate(model.qformer.encoder.layer):
            written[number].append(state)
            state = attended(layer.attention, state, queries[number] + written[number])
            state = fed(layer.intermediate, layer.output, state)
        head = model.writing_head
        state = normed(head.LayerNorm, gelu(dense(head.dense, state)))
        found.append(torch.stack([row.double() @ state for row in words]) + head.bias.double())
    return found


def slow_loss(model: Stage1, visual: Tensor, ids: Tensor, keep: Tensor, smoothing: float) -> float:
    costs = []
    for picture, row, real in zip(visual, ids.tolist(), keep.tolist(), strict=True):
        text = row[: sum(real)]
        for logits, said in zip(slow_logits(model, picture, [WRITE_ID, *text[1:-1]]), text[1:], strict=True):
            total = math.log(sum(math.exp(number) for number in logits.tolist()))
            logs = [number - total for number in logits.tolist()]
            costs.append(-(1 - smoothing) * logs[said] - smoothing * sum(logs) / N_WORDS)
    return sum(costs) / len(costs)


@torch.no_grad()
def test_logits_are_those_of_writing_one_token_after_the_other() -> None:
    model, (visual, ids, keep) = any_model(), any_pairs()
    logits = model.writing_logits(visual, ids, keep)
    assert logits.std() > 0.3
    for row in range(B):
        length = int(keep[row].sum())
        slow = torch.stack(slow_logits(model, visual[row], ids[row, :length].tolist()))
        torch.testing.assert_close(logits[row, :length], slow, atol=1e-9, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.35])
def test_the_loss_is_that_of_writing_one_token_after_the_other(smoothing: float) -> None:
    model, given = any_model(), any_pairs()
    loss = itg_loss(model.writing_logits, *given, WRITE_ID, smoothing)
    assert abs(float(loss) - slow_loss(model, *given, smoothing)) < 1e-9


# -- laws ------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_later_token_changes_no_earlier_logit_and_every_later_one() -> None:
    model, (visual, ids, _) = any_model(), any_pairs()
    keep = torch.ones_like(ids, dtype=torch.bool)
    before = model.writing_logits(visual, ids, keep)
    for place in range(T):
        other = ids.clone()
        other[:, place] = (ids[:, place] + 1) % WRITE_ID
        moved = (model.writing_logits(visual, other, keep) - before).abs().amax(dim=2)
        assert not (moved[:, :place] > 1e-12).any()
        assert (moved[:, place:] > 1e-5).all()


@torch.no_grad()
def test_text_changes_no_query_while_it_is_written_and_does_in_matching() -> None:
    model, (visual, ids, keep) = any_model(), any_pairs()
    other = (ids + 1) % WRITE_ID
    written = [model.read("write", visual, text, keep)[0] for text in (ids, other)]
    matched = [model.read("match", visual, text, keep)[0] for text in (ids, other)]
    assert (written[0] - written[1]).abs().max() < 1e-12
    assert ((matched[0] - matched[1]).abs().amax(dim=(1, 2)) > 1e-3).all()


@torch.no_grad()
def test_queries_are_the_same_in_contrast_and_in_writing() -> None:
    model, given = any_model(), any_pairs()
    torch.testing.assert_close(
        model.read("write", *given)[0], model.read("contrast", *given)[0], atol=1e-12, rtol=0
    )


@torch.no_grad()
def test_every_query_and_the_picture_change_every_logit() -> None:
    model, (visual, ids, keep) = any_model(), any_pairs()
    before = model.writing_logits(visual, ids, keep)
    assert ((model.writing_logits(visual + 1, ids, keep) - before).abs().amax(dim=2) > 1e-4).all()
    for query in range(N_QUERIES):
        model.query_tokens[0, query] += 1 + torch.arange(D_MODEL) % 3
        after = model.writing_logits(visual, ids, keep)
        assert ((after - before).abs().amax(dim=2) > 1e-5).all(), query
        before = after


@torch.no_grad()
def test_padding_changes_neither_logits_nor_loss() -> None:
    model, (visual, ids, keep) = any_model(), any_pairs()
    other = torch.where(keep, ids, (ids + 1) % WRITE_ID)
    logits = [model.writing_logits(visual, text, keep)[keep] for text in (ids, other)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-12, rtol=0)
    losses = [itg_loss(model.writing_logits, visual, text, keep, WRITE_ID) for text in (ids, other)]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-12, rtol=0)


def test_the_word_embeddings_learn_as_input_and_as_output() -> None:
    model, (visual, ids, keep) = any_model(), any_pairs()
    itg_loss(model.writing_logits, visual, ids, keep, WRITE_ID, 0.0).backward()
    table = model.embeddings.word_embeddings.weight.grad
    absent = sorted(set(range(N_WORDS)) - set(ids[keep].tolist()) - {WRITE_ID})
    assert absent, "some word is in no text"
    assert bool((table[absent].abs().amax(dim=1) > 0).all()), "as output, every word is pushed"
    assert model.query_tokens.grad.abs().max() > 1e-4


# -- the stand-ins that checks use -----------------------------------------------------------------------


@torch.no_grad()
def test_the_writer_of_the_checks_looks_back_and_never_ahead() -> None:
    writer, (visual, ids, keep) = TinyWriter(N_WORDS, D_VISUAL, D_MODEL).double(), any_pairs()
    before = writer(visual, ids, keep)
    for place in range(T):
        other = ids.clone()
        other[:, place] = (ids[:, place] + 1) % WRITE_ID
        moved = (writer(visual, other, keep) - before).abs().amax(dim=2)
        assert not (moved[:, :place] > 1e-12).any()
        assert (moved[:, place:][keep[:, place], 0] > 1e-6).all()
    swapped = ids[:, [0, 2, 1, *range(3, T)]]
    assert ((writer(visual, swapped, keep) - before).abs().amax(dim=2)[0, 3:] > 1e-6).all(), "order counts"


@torch.no_grad()
def test_the_judge_of_the_checks_sees_words_their_order_and_the_picture_and_no_padding() -> None:
    judge, (visual, ids, keep) = TinyMatcher(N_WORDS, D_VISUAL, D_MODEL).double(), any_pairs()
    ids[:, 0], ids[:, 1] = 1, 2
    before = judge(visual, ids, keep)
    swapped = ids[:, [1, 0, *range(2, T)]]
    for visual2, ids2 in ((visual + 1, ids), (visual, swapped), (visual, (ids + 1) % WRITE_ID)):
        assert ((judge(visual2, ids2, keep) - before).abs().amax(dim=1) > 1e-6).all()
    assert torch.equal(judge(visual, torch.where(keep, ids, 3), keep), before)
