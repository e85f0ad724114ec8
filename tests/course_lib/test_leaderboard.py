"""A bridge is trained from outside, by answers alone; what it costs is counted, whatever it is made of."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib import leaderboard
from course_lib.checking import Instance, Subject
from course_lib.driver import in_process
from course_lib.errors import CheckFailure
from course_lib.leaderboard import BASELINES, BUDGET, STANDINGS, Counted, Housing, Trial, board, count, train
from course_lib.my_fusion import MyFusion
from course_lib.world import MicroWorld
from grading import layout
from grading.weeks import load_file


@pytest.fixture(scope="module")
def world() -> MicroWorld:
    return MicroWorld.load(n_scenes=40, n_test=12)


def built(design: type[nn.Module], seed: int = 1) -> Instance:
    return Subject.here("Bridge", design).build_from(seed)


def test_the_reference_is_within_the_budget_and_close_to_it() -> None:
    assert count(built(MyFusion)) == Counted(tokens=6, parameters=98_432, flops=1_179_648)
    assert BUDGET == Counted(tokens=6, parameters=120_000, flops=1_500_000)


def test_the_public_checks_know_the_same_budget() -> None:
    checks = load_file(layout.find().solutions / "week05_fusion_taxonomy" / "checks.py")
    assert (checks.TOKENS, checks.PARAMETERS, checks.FLOPS) == (
        BUDGET.tokens,
        BUDGET.parameters,
        BUDGET.flops,
    )


def test_training_from_outside_is_training(world: MicroWorld) -> None:
    """It keeps to a training in this process, with gradients of full precision, step by step."""
    housing = Housing(world)
    outside = built(MyFusion)
    losses = train(outside, housing, steps=4, seed=3)

    torch.manual_seed(1)
    model = MyFusion()
    weights = dict(model.named_parameters())
    steps = leaderboard.optimisers(weights)
    first = []
    order = torch.Generator().manual_seed(3)
    for step in range(1, 5):
        picked = torch.randint(40, (leaderboard.PICTURES,), generator=order).tolist()
        scenes = [world.train.scenes[row] for row in picked]
        blocks = leaderboard._ask(scenes, world, leaderboard.key(3, step), "seen")[1]
        tokens = model(housing.visual(world.train.features[picked]))
        loss = leaderboard.answer_loss(housing.logits(tokens, blocks), blocks)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), leaderboard.LONGEST)
        for one in steps:
            for group in one.param_groups:
                group["lr"] = group.setdefault("peak", group["lr"]) * leaderboard.learning_rate_at(
                    step - 1, 4
                )
            one.step()
        model.zero_grad()
        first.append(loss.item())
    assert losses == pytest.approx(first, abs=0.02)
    assert losses[0] == pytest.approx(first[0], abs=1e-5)
    for name, trained in outside.parameters().items():
        moved = (trained - weights[name]).norm() / weights[name].norm()
        assert moved < 0.15  # Muon makes every direction as long as any other, those of rounding too


def test_what_was_answered_stays_as_it_was(world: MicroWorld) -> None:
    """By their answers two subjects are compared, long after the training that asked for them."""
    transcript: list[Any] = []
    subject = Subject("Bridge", in_process("Bridge", MyFusion), transcript)
    bridge = subject.build_from(1)
    train(bridge, Housing(world), steps=2)
    again = built(MyFusion).parameters()
    (start,) = [reply["value"] for reply in transcript if isinstance(reply.get("value"), dict)]
    assert all(torch.equal(start[name], again[name]) for name in again)
    tokens = [reply["value"] for reply in transcript if isinstance(reply.get("value"), Tensor)]
    assert not any(one.requires_grad for one in tokens)


def test_the_same_seed_gives_the_same_training(world: MicroWorld) -> None:
    housing = Housing(world)
    twice = [train(built(MyFusion), housing, steps=2, seed=5) for _ in range(2)]
    assert twice[0] == twice[1]
    assert train(built(MyFusion), housing, steps=2, seed=6) != twice[0]


def test_nothing_of_the_world_changes_in_a_training(world: MicroWorld) -> None:
    housing = Housing(world)
    before = {name: one.clone() for name, one in world.language_model.state_dict().items()}
    train(built(MyFusion), housing, steps=1)
    assert all(torch.equal(one, before[name]) for name, one in world.language_model.state_dict().items())
    assert all(one.grad is None for one in world.language_model.parameters())
    assert not any(one.requires_grad for one in housing.eyes.parameters())


class Halved(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_word = nn.Linear(128, 64)

    def forward(self, visual: Tensor) -> Tensor:
        found: Tensor = self.to_word(visual[:, :6])
        return found


class Endless(Halved):
    def __init__(self) -> None:
        super().__init__()
        self.to_word = nn.Linear(128, 128)

    def forward(self, visual: Tensor) -> Tensor:
        return super().forward(visual) * float("inf")


@pytest.mark.parametrize(("design", "words"), [(Halved, r"\(8, 6, 64\)"), (Endless, "NaN or infinite")])
def test_tokens_that_cannot_be_read_end_the_trial_kindly(
    world: MicroWorld, design: type[nn.Module], words: str
) -> None:
    with pytest.raises(CheckFailure, match=words):
        train(built(design), Housing(world), steps=1)


@pytest.mark.parametrize("design", BASELINES)
def test_a_baseline_costs_what_the_board_says(design: type[nn.Module]) -> None:
    expected = {
        "MeanOfAll": Counted(1, 65_920, 135_680),
        "EachPatch": Counted(36, 16_512, 1_179_648),
        "FourAsOne": Counted(9, 164_224, 2_949_120),
    }
    found = count(built(design))
    if design.__name__ in expected:
        assert found == expected[design.__name__]
    else:
        # Keys and values of 36 patches, queries and outputs of 6, twice; the attention itself; the last map.
        maps = 2 * (2 * 36 * 128 * 256 + 2 * 6 * 128 * 256) + 2 * 6 * 128 * 128
        attention = 2 * 2 * (2 * 6 * 36 * 128)
        assert found.tokens == 6
        assert maps + attention <= found.flops <= 1.02 * (maps + attention)
    assert design.__name__ in STANDINGS


def test_the_board_has_the_best_on_top_and_says_who_is_over() -> None:
    best = Trial("Best", Counted(6, 1, 1), 90, 0, leaderboard.Score({"colour": 1.0, "where": 1.0}), 0.1)
    rows = board(best).rows
    assert rows[0][0] == "Best"
    assert rows[0][-1] == ""
    assert {row[0]: row[-1] for row in rows}["baseline: EachPatch"] == "tokens"
    shares = [row[4] for row in rows]
    assert shares == sorted(shares, key=lambda share: -float(str(share)))


class ByHand(nn.Module):
    """One map, its products written out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(128, 32))

    def forward(self, visual: Tensor) -> Tensor:
        return (visual[..., None] * self.weight).sum(dim=2)


class Fused(nn.Module):
    """Attention of torch's, which its counter does not see on a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, visual: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(visual, visual, visual)


class Layer(nn.Module):
    """A whole layer of torch's, which has a fast path in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(128, 4, 64, batch_first=True)

    def forward(self, visual: Tensor) -> Tensor:
        found: Tensor = self.layer(visual)
        return found


def test_work_is_counted_however_it_is_written() -> None:
    visual = torch.randn(1, 36, 128)
    assert built(ByHand).flops(visual) == 2 * 36 * 128 * 32  # a product and a sum of each
    attention = 2 * (2 * 36 * 36 * 128)
    assert attention <= built(Fused).flops(visual) <= 1.1 * attention
    layer = built(Layer)
    layer.eval()
    least = 2 * 36 * 128 * (4 * 128 + 2 * 64) + attention
    assert least <= layer.flops(visual) <= 1.1 * least
    assert torch.backends.mha.get_fastpath_enabled()
