"""Three tasks for one stack: transformers' retrieval model to 1e-5, and each loss spelled out in loops."""

import inspect
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.blip2_stage1 import Stage1, itc_loss, itg_loss, itm_loss, sample_negatives, similarity
from course_lib.errors import ShapeError
from tests.fixtures.blip2 import (
    D_SHARED,
    D_VISUAL,
    EVERY,
    KEEP,
    POSITIONS,
    WORDS,
    B,
    D,
    Q,
    T,
    V,
    qformer,
    redrawn,
    their_whole,
)

OURS_ALONE = ("temperature", "writing_head.")  # transformers left the writing out
WRITE = 29


def stage1(cross_every: int = 2) -> Stage1:
    made = redrawn(Stage1(qformer(cross_every), Q, D, WORDS, POSITIONS, D_SHARED))
    made.temperature.data.fill_(0.3)
    return made


@pytest.fixture
def pairs() -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(B, V, D_VISUAL), torch.randint(1, WORDS, (B, T)), KEEP


def same(found: Tensor, expected: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=1e-5)


# -- transformers' numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("cross_every", EVERY)
@torch.no_grad()
def test_contrast_and_match_are_blip2s(cross_every: int) -> None:
    from transformers import Blip2ForImageTextRetrieval

    theirs = redrawn(Blip2ForImageTextRetrieval(their_whole(cross_every)))
    assert theirs.qformer.config._attn_implementation == "eager"
    ours = stage1(cross_every)
    state = {n: value for n, value in theirs.state_dict().items() if not n.startswith("vision_model.")}
    left = ours.load_state_dict(state, strict=False)
    assert not left.unexpected_keys
    assert left.missing_keys
    assert all(name.startswith(OURS_ALONE) for name in left.missing_keys)

    pixels, ids = torch.randn(B, 3, 8, 8), torch.randint(1, WORDS, (B, T))
    visual = theirs.vision_model(pixels).last_hidden_state
    assert visual.shape == (B, V, D_VISUAL)
    how: dict[str, Any] = {"pixel_values": pixels, "input_ids": ids, "attention_mask": KEEP.long()}
    same(similarity(*ours.projections(visual, ids, KEEP)), theirs(**how).logits_per_image)
    matched = theirs(**how, use_image_text_matching_head=True).logits_per_image
    same(ours.match_logits(visual, ids, KEEP), matched)
    assert (matched[1:] - matched[:-1]).abs().max() > 0.01  # pairs differ, and it is seen


@torch.no_grad()
def test_the_writing_head_is_berts(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLMPredictionHead

    theirs = redrawn(BertLMPredictionHead(BertConfig(vocab_size=WORDS, hidden_size=D, layer_norm_eps=1e-12)))
    ours = stage1()
    state = theirs.state_dict()
    ours.writing_head.dense.load_state_dict({n: state[f"transform.dense.{n}"] for n in ("weight", "bias")})
    ours.writing_head.LayerNorm.load_state_dict(
        {name: state[f"transform.LayerNorm.{name}"] for name in ("weight", "bias")}
    )
    ours.writing_head.bias.copy_(state["bias"])
    theirs.decoder.weight.copy_(ours.embeddings.word_embeddings.weight)  # tied
    theirs.decoder.bias.copy_(state["bias"])
    same(ours.writing_logits(*pairs), theirs(ours.read("write", *pairs)[1]))


# -- similarity and its loss -----------------------------------------------------------------------------


def test_a_picture_is_as_near_to_a_text_as_its_nearest_query() -> None:
    pictures, texts = torch.randn(B, Q, D_SHARED), torch.randn(4, D_SHARED)
    spelled = [
        [max(float(F.cosine_similarity(query, text, dim=0)) for query in picture) for text in texts]
        for picture in pictures
    ]
    same(similarity(pictures, texts), torch.tensor(spelled))
    same(similarity(3.0 * pictures, 0.2 * texts), torch.tensor(spelled))  # length says nothing
    assert (similarity(pictures, texts) - similarity(pictures[:, :1], texts)).max() > 0.1


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_contrast_is_the_mean_over_rows_and_columns_of_what_is_spelled_out(smoothing: float) -> None:
    pictures, texts, temperature = torch.randn(B, Q, D_SHARED), torch.randn(B, D_SHARED), 0.3
    logits = similarity(pictures, texts) / temperature
    total = 0.0
    for table in (logits.tolist(), logits.T.tolist()):
        for row, numbers in enumerate(table):
            log_sum = math.log(sum(math.exp(number) for number in numbers))
            for column, number in enumerate(numbers):
                share = (1 - smoothing) * (row == column) + smoothing / B
                total += share * (log_sum - number)
    same(itc_loss(pictures, texts, temperature, smoothing), torch.tensor(total / (2 * B)))


def test_contrast_of_what_is_all_alike_is_log_b_and_of_right_pairs_is_less() -> None:
    alike = itc_loss(torch.ones(B, Q, D_SHARED), torch.ones(B, D_SHARED), 0.07)
    same(alike, torch.tensor(math.log(B)))
    texts = torch.eye(D_SHARED)[:B]
    right = itc_loss(texts[:, None].repeat(1, Q, 1), texts, 0.07, 0.0)
    wrong = itc_loss(texts[:, None].repeat(1, Q, 1), texts.roll(1, 0), 0.07, 0.0)
    assert right < 1e-4
    assert wrong > 10


def test_the_order_of_pairs_makes_no_difference_and_smoothing_and_temperature_are_the_papers() -> None:
    pictures, texts, order = torch.randn(B, Q, D_SHARED), torch.randn(B, D_SHARED), torch.tensor([2, 0, 1])
    same(itc_loss(pictures[order], texts[order], 0.3), itc_loss(pictures, texts, 0.3))
    same(itc_loss(pictures, texts, 0.3), itc_loss(pictures, texts, 0.3, smoothing=0.1))
    fresh = Stage1(qformer(), Q, D, WORDS, POSITIONS, D_SHARED)
    same(fresh.temperature, torch.tensor(0.07))
    assert 0.01 < fresh.query_tokens.std() < 0.03
    assert fresh.query_tokens.std(dim=1).min() > 0.001  # no two alike


# -- wrong pairs -----------------------------------------------------------------------------------------


def test_wrong_pairs_are_drawn_as_often_as_they_are_alike_and_never_the_own_one() -> None:
    logits = torch.tensor(
        [[9.0, 1.0, 0.0, -1.0], [2.0, 9.0, 0.5, 0.0], [0.0, 1.5, 9.0, 1.0], [1.0, 0.0, -2.0, 9.0]]
    )
    generator = torch.Generator().manual_seed(7)
    draws = [sample_negatives(logits, generator) for _ in range(3000)]
    for which, table in ((0, logits), (1, logits.T)):
        drawn = torch.stack([draw[which] for draw in draws])
        counts = torch.stack([(drawn == n).float().mean(dim=0) for n in range(4)], dim=1)
        assert not counts.diagonal().any()
        weights = table.exp() * (1 - torch.eye(4))
        # Four standard errors of a share among 3,000.
        same(counts, weights / weights.sum(dim=1, keepdim=True), atol=4 * 0.5 / math.sqrt(3000))


def test_wrong_pairs_repeat_with_their_generator_and_are_never_the_own_one_however_alike() -> None:
    logits = (60.0 * torch.eye(5) - 30.0).requires_grad_()  # shares of the others underflow
    one, other = (sample_negatives(logits, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))
    for drawn in one:
        assert drawn.dtype == torch.long
        assert not (drawn == torch.arange(5)).any()
    texts, pictures = sample_negatives(torch.randn(2, 2))
    assert (texts.tolist(), pictures.tolist()) == ([1, 0], [1, 0])


# -- match -----------------------------------------------------------------------------------------------


def test_three_pairs_are_judged_for_each_and_one_of_them_is_right(
    pairs: tuple[Tensor, Tensor, Tensor],
) -> None:
    visual, ids, keep = pairs
    wrong_text, wrong_picture = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    made = stage1()
    found = itm_loss(made.match_logits, visual, ids, keep, wrong_text, wrong_picture)
    total = torch.tensor(0.0)
    for n in range(B):
        for picture, text, right in ((n, n, 1), (n, wrong_text[n], 0), (wrong_picture[n], n, 0)):
            logits = made.match_logits(*(part[None] for part in (visual[picture], ids[text], keep[text])))
            total = total - logits[0].log_softmax(dim=0)[right] / (3 * B)
    same(found, total)


def test_what_is_matched_is_the_mean_over_queries(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    made = stage1()
    queries, _ = made.read("match", *pairs)
    each = torch.stack([made.itm_head(queries[:, n]) for n in range(Q)])
    same(made.match_logits(*pairs), each.mean(dim=0))
    assert each.std(dim=0).min() > 1e-3


# -- write -----------------------------------------------------------------------------------------------


def test_each_token_says_the_next_behind_the_sign_to_write(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    visual, ids, keep = pairs
    kept, asked = ids.clone(), []
    fixed = torch.randn(B, T, WORDS)

    def say(visual: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        asked.append(ids)
        return fixed

    found = itg_loss(say, visual, ids, keep, WRITE)
    assert torch.equal(ids, kept)  # the caller's are not written into
    assert asked[0][:, 0].tolist() == [WRITE] * B
    assert torch.equal(asked[0][:, 1:], ids[:, 1:])
    terms = []
    for row in range(B):
        for n in range(1, int(keep[row].sum())):
            logs = fixed[row, n - 1].log_softmax(dim=0)
            terms.append(-(0.9 * logs[ids[row, n]] + 0.1 * logs.mean()))
    assert len(terms) == 6 + 3 + 1
    same(found, torch.stack(terms).mean())


def test_what_is_written_depends_on_the_picture_and_on_no_later_word(
    pairs: tuple[Tensor, Tensor, Tensor],
) -> None:
    made, (visual, ids, _) = stage1(), pairs
    keep = torch.ones_like(KEEP)
    out = made.writing_logits(visual, ids, keep).detach()
    for n in range(1, T):
        changed = ids.clone()
        changed[:, n] = ids[:, n] % (WORDS - 1) + 1
        other = made.writing_logits(visual, changed, keep).detach()
        same(other[:, :n], out[:, :n])
        assert (other[:, n] - out[:, n]).abs().max() > 0.01
    assert (made.writing_logits(visual.flip(0), ids, keep).detach() - out).abs().max() > 0.01


def test_what_stands_in_padding_is_not_learned(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    made, (visual, ids, keep) = stage1(), pairs
    dirty = torch.where(keep, ids, ids % (WORDS - 1) + 1)
    assert not torch.equal(dirty, ids)
    wrong = (torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1]))
    for loss in (
        lambda words: itg_loss(made.writing_logits, visual, words, keep, WRITE),
        lambda words: itc_loss(*made.projections(visual, words, keep), made.temperature),
        lambda words: itm_loss(made.match_logits, visual, words, keep, *wrong),
    ):
        same(loss(dirty), loss(ids))
        assert (loss(ids.flip(0)) - loss(ids)).abs().detach() > 1e-4


def test_the_three_tasks_together_teach_every_part(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    made, (visual, ids, keep) = stage1(), pairs
    pictures, texts = made.projections(visual, ids, keep)
    negatives = sample_negatives(similarity(pictures, texts) / made.temperature)
    loss = itc_loss(pictures, texts, made.temperature)
    loss = loss + itm_loss(made.match_logits, visual, ids, keep, *negatives)
    loss = loss + itg_loss(made.writing_logits, visual, ids, keep, WRITE)
    loss.backward()  # type: ignore[no-untyped-call]
    assert made.query_tokens.grad is not None
    assert made.query_tokens.grad.any(dim=-1).all()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # The same number added to every score changes no softmax: a key's bias learns nothing.
        assert (parameter.grad.abs().max() > 1e-5) != name.endswith("key.bias"), name


# -- what cannot be --------------------------------------------------------------------------------------


def test_a_batch_without_a_wrong_pair_is_counted() -> None:
    with pytest.raises(ShapeError, match="a batch of 1 has no wrong pair to draw; give at least 2"):
        sample_negatives(torch.zeros(1, 1))


def test_a_text_with_nothing_to_say_is_counted(pairs: tuple[Tensor, Tensor, Tensor]) -> None:
    visual, ids, _ = pairs
    with pytest.raises(ShapeError, match="3 texts of 7 tokens have 0 real ones behind the first"):
        itg_loss(stage1().writing_logits, visual, ids, torch.arange(T).expand(B, -1) < 1, WRITE)
    with pytest.raises(ShapeError, match="3 texts of 1 tokens have 0 real ones behind the first"):
        itg_loss(stage1().writing_logits, visual, ids[:, :1], KEEP[:, :1], WRITE)


def test_a_text_longer_than_there_are_positions_names_both() -> None:
    ids = torch.ones(B, POSITIONS + 2, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"13 text tokens and 11 positions; .*n_positions=13"):
        stage1().match_logits(torch.randn(B, V, D_VISUAL), ids, torch.ones_like(ids, dtype=torch.bool))


def test_another_number_of_pictures_than_of_texts_is_counted() -> None:
    # Where shapes are checked, as here, the annotation speaks first. A learner hears the function itself.
    as_learners_have_it = inspect.unwrap(itc_loss)
    with pytest.raises(ShapeError, match="3 pictures and 4 texts are no pairs; give as many of each"):
        as_learners_have_it(torch.randn(B, Q, D_SHARED), torch.randn(4, D_SHARED), 0.3)
