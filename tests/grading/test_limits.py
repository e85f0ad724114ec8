"""Limits: what a week may state, which sentence is said, and that the authors' page has all of them."""

import re
from pathlib import Path

import pytest

from grading import limits
from grading.box import Box
from grading.errors import CourseBroken
from grading.kernel import IN_THE_BOX, Kernel
from grading.limits import RULES, Limits, read, refused
from tests.fixtures import blending, processes

PAGE = Path(__file__).parent.parent.parent / "docs" / "limits.md"


def test_every_limit_has_a_rule_and_every_rule_a_limit() -> None:
    assert set(RULES) == set(Limits.__dataclass_fields__)


def test_every_sentence_is_another_and_names_its_number() -> None:
    odd = {name: 7_001 + place for place, name in enumerate(RULES)}
    stated = Limits(**odd)  # type: ignore[arg-type]
    said = {name: stated.over(name) for name in RULES}
    assert len(set(said.values())) == len(RULES)
    for name, sentence in said.items():
        assert f" {odd[name]} " in f" {sentence} "
    # Without their numbers they differ as well: whose limit it was is told by words.
    assert len({re.sub(r"\d+", "", sentence) for sentence in said.values()}) == len(RULES)
    for name in ("cell", "question", "submission"):
        assert all(name in said[limit] for limit in RULES if limit.startswith(name))


def test_one_is_no_plural_and_halves_are_not_lost() -> None:
    assert Limits(cell_s=1).in_words("cell_s") == "1 second"
    assert Limits(cell_s=0.5).in_words("cell_s") == "0.5 seconds"
    assert Limits(submission_output_kb=1_000_000).in_words("submission_output_kb") == "1000000 kB"


def test_processor_time_follows_the_wall_clock_unless_a_week_states_it() -> None:
    assert Limits(cell_s=50).amount("cell_cpu_s") == 50 * limits.CORES
    assert Limits(question_s=2, question_cpu_s=3).amount("question_cpu_s") == 3
    # One process can never meet it before the wall clock, and neither can a pool of four.
    plain = Limits()
    for what in ("cell", "question", "submission"):
        assert plain.amount(f"{what}_cpu_s") >= 4 * plain.amount(f"{what}_s")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"cel_s": 3}, r"unknown names \['cel_s'\]; known: cell_s, question_s"),
        ({"cell_s": "20"}, r"cell_s = '20'; set it to a number above 0"),
        ({"cell_s": 0}, r"cell_s = 0; set it to a number above 0"),
        ({"question_s": -1.5}, r"question_s = -1.5; "),
        ({"submission_s": float("nan")}, r"submission_s = nan; "),
        ({"submission_s": float("inf")}, r"submission_s = inf; "),
        ({"cell_s": True}, r"cell_s = True; "),
        ({"processes": 24.0}, r"processes = 24.0; set it to a whole number of at least 24"),
        ({"processes": 23}, r"processes = 23; set it to a whole number of at least 24"),
        ({"open_files": 95}, r"open_files = 95; set it to a whole number of at least 96"),
        ({"memory_mb": 599}, r"memory_mb = 599; set it to a whole number of at least 600"),
        ({"cell_output_kb": 0}, r"cell_output_kb = 0; set it to a whole number above 0"),
        ({"cell_s": 30, "submission_s": 20}, r"cell_s = 30, which is above submission_s = 20.*lower cell_s"),
        ({"question_s": 121}, r"question_s = 121, which is above submission_s = 120"),
        ({"cell_cpu_s": 500}, r"cell_cpu_s = 500, which is above submission_cpu_s = 480"),
        ({"submission_cpu_s": 30}, r"cell_cpu_s = 80, which is above submission_cpu_s = 30"),
        ({"cell_output_kb": 200_000}, r"which is above submission_output_kb = 100000"),
        ({"file_mb": 300}, r"file_mb = 300, which is above scratch_mb = 256"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused_with_what_is_allowed(
    table: dict[str, object], words: str
) -> None:
    with pytest.raises(CourseBroken, match=rf"^\[limits\] of week07_x/week.toml has .*{words}"):
        read("week07_x", table)


def test_what_a_week_states_is_kept_and_the_rest_is_default() -> None:
    assert read("w", {}) == Limits()
    assert read("w", {"cell_s": 5, "processes": 24, "output_kb": 1000}) == Limits(cell_s=5, processes=24)
    for name, rule in RULES.items():
        if rule.least is not None:
            assert getattr(read("w", {"file_mb": 1, name: rule.least}), name) == rule.least


def test_a_box_has_what_a_week_does_not_state() -> None:
    box = Box(Path("/nowhere"))
    assert {name: getattr(box, name) for name in IN_THE_BOX} == {
        name: getattr(Limits(), name) for name in IN_THE_BOX
    }


@pytest.mark.slow
@pytest.mark.parametrize("imports", [None, ("einops",)], ids=["started", "forked"])
def test_a_kernel_starts_and_imports_torch_with_the_least_that_a_week_may_state(
    imports: tuple[str, ...] | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    least = {name: rule.least for name, rule in RULES.items() if rule.least is not None}
    edition = blending.edition(tmp_path_factory.mktemp("least-edition"))
    kernel = Kernel(edition, read("w", least), "bubblewrap", imports)
    try:
        end = kernel.run(
            f"import torch\nfrom torch import nn\n{blending.MASKED_MEAN}\ntorch.randn(99).sum()", 60
        )
        assert end.status == "ok", end
        assert kernel.run("open('small', 'wb').write(bytes(900_000))", 10).status == "ok"
    finally:
        kernel.close()
    if imports is None:
        assert processes.left() == []


@pytest.mark.parametrize(
    ("kind", "message", "limit"),
    [
        ("MemoryError", "", "memory_mb"),
        (
            "RuntimeError",
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory",
            "memory_mb",
        ),
        ("OSError", "[Errno 12] Cannot allocate memory", "memory_mb"),
        ("OSError", "[Errno 24] Too many open files: 'x'", "open_files"),
        ("OSError", "[Errno 27] File too large", "file_mb"),
        ("CalledProcessError", "Command '['x']' died with <Signals.SIGXFSZ: 25>.", "file_mb"),
        ("OSError", "[Errno 28] No space left on device", "scratch_mb"),
        ("OSError", "20971520 requested and 16777184 written", "file_mb or scratch_mb"),
        ("RuntimeError", "can't start new thread", "processes"),
        ("BlockingIOError", "[Errno 11] Resource temporarily unavailable", ""),
        ("ValueError", "x must be 24", ""),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'x'", ""),
    ],
)
def test_an_exceptions_text_chooses_a_sentence_and_nothing_else(kind: str, message: str, limit: str) -> None:
    assert refused(kind, message, crowded=False) == limit


def test_a_socket_that_does_not_wait_is_no_process_too_many() -> None:
    text = "[Errno 11] Resource temporarily unavailable"
    assert refused("BlockingIOError", text, crowded=True) == "processes"
    assert refused("BlockingIOError", "[Errno 115] Operation now in progress", crowded=True) == ""


def test_the_authors_page_has_the_table_that_the_code_gives() -> None:
    assert limits.table() in PAGE.read_text(encoding="utf-8"), "python -m grading.limits prints it"
