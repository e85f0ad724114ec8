"""Who can influence whom in each pattern of `course_lib.fusion`, and from which layer on.

A picture is cut into three strips, a question into its words. Each is an input that can be replaced alone;
what comes out is looked at in the same pieces. The matrix itself is found by your `influence_matrix`, an
argument here: nothing in this file knows an answer.

    found = who_influences_whom(influence_matrix, model, world)
    drawn({"linear": found})

Models are taken as they are built, untrained: where there is no path, training cannot lay one. Gates are
opened by hand, because a gate that is shut hides everything.

Axes in this file:
    b  pictures    v  visual tokens    k  words of question and answer    d  width of a word
    o  outputs    n  inputs    s  the stream: visual tokens, then words
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_lib import plots
from course_lib.errors import ShapeError
from course_lib.exhibits import GREY, Exhibit, Table, exhibit
from course_lib.fusion import Fusion, Late, Streamed
from course_lib.language import LanguageModel
from course_lib.microworld.blocks import Blocks
from course_lib.world import MicroWorld

Influence = Callable[[Callable[[list[Tensor]], Sequence[Tensor]], Sequence[Tensor]], Tensor]
QUESTION, ANSWER = "what colour is the ring ?", "red"
STRIPS = ("top", "middle", "bottom")
TOKENS = ("first visual", "mid visual", "last visual")
HEARD = ("words know of the picture", "picture knows of the words")


@dataclass(frozen=True)
class Found:
    """A matrix with its names.

    Shapes:
        moved  bool[o n]   True where the input of a column reaches the output of a row
    """

    moved: Bool[Tensor, "o n"]
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    def reaches(self, columns: Sequence[str], rows: Sequence[str]) -> Bool[Tensor, "r c"]:
        """The part of the matrix that these inputs and outputs have, those that there are."""
        r = [i for i, name in enumerate(self.rows) if name in rows]
        return self.moved[r][:, [self.columns.index(name) for name in columns]]


def open_gates(model: Fusion) -> int:
    """Set every gate to 1, where there are any; return how many there were. As built, they are shut."""
    gates = [p for name, p in model.named_parameters() if name.endswith("alpha")]
    with torch.no_grad():
        for gate in gates:
            gate.fill_(1.0)
    return len(gates)


@torch.no_grad()
def who_influences_whom(influence: Influence, model: Fusion, world: MicroWorld) -> Found:
    """Change one strip of a picture or one word at a time, and see what moves behind the last layer.

    Outputs are visual tokens behind the last layer, in three parts, where there are any; the logits at each
    word; and the answer: logits at its word, or, where the two meet at the output, those of the head.
    """
    pieces = _Pieces(model, world)
    rows = [*(TOKENS if pieces.outputs(pieces.inputs)[0] else ()), *QUESTION.split(), "answer"]

    def run(given: list[Tensor]) -> list[Tensor]:
        visual, words = pieces.outputs(given)
        return [*visual, *words]

    moved = influence(run, pieces.inputs)
    return Found(moved, tuple(rows), (*STRIPS, *pieces.words))


@torch.no_grad()
def depths(influence: Influence, model: Fusion, world: MicroWorld) -> dict[str, Bool[Tensor, " stages"]]:
    """From where on the question's words know of the picture, and visual tokens of these words.

    The stages are what goes into the first layer, what comes out of each, and what is said in the end.
    """
    pieces = _Pieces(model, world)
    moved = influence(lambda given: [one for pair in pieces.stages(given) for one in pair], pieces.inputs)
    by_stage = rearrange(moved, "(stage two) n -> two stage n", two=2)
    question = slice(len(STRIPS), -1)
    return {
        HEARD[0]: by_stage[0, :, : len(STRIPS)].any(dim=1),
        HEARD[1]: by_stage[1, :, question].any(dim=1),
    }


class _Pieces:
    """One question about one picture, as a list of tensors that can be replaced one by one."""

    def __init__(self, model: Fusion, world: MicroWorld) -> None:
        if not isinstance(model, (Streamed, Late)):
            raise ShapeError(f"a {type(model).__name__} is neither Streamed nor Late; give a built pattern.")
        self.model, self.words = model.eval(), (*QUESTION.split(), ANSWER)
        open_gates(model)
        ids = torch.tensor([[world.vocabulary.encode(" ".join(self.words))]])
        answers = torch.arange(len(self.words)) == len(self.words) - 1
        self.blocks = Blocks(ids, torch.ones_like(ids, dtype=torch.bool), answers[None, None])
        self.axis = 1 if model.reads == "features" else 2
        self.language: LanguageModel = model.language_model
        words = self.language.model.embed_tokens(ids[0, 0]).detach()
        self.inputs = [*model.of(world.new, [0]).chunk(len(STRIPS), dim=self.axis), *words]

    def seen(self, given: Sequence[Tensor]) -> Tensor:
        return torch.cat([*given[: len(STRIPS)]], dim=self.axis)

    def outputs(self, given: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """(visual tokens in three parts or none, one output for each word)."""
        with self.watched(given) as states:
            if isinstance(self.model, Late):
                said = self.model.logits(self.seen(given), self.blocks)
                visual = self.model.eyes(self.seen(given))
                return list(visual.tensor_split(3, dim=1)), [*states[-1][0, :-1], said[0, 0]]
            logits = self.model.logits(self.seen(given), self.blocks)
        visual = states[-1][:, : self.model.tokens]
        # One token is the `<image>` tag: a word that stands for the picture, and no visual token.
        return list(visual.tensor_split(3, dim=1)) if self.model.tokens > 1 else [], list(logits[0, 0])

    def stages(self, given: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """At each stage (question's words, visual tokens)."""
        with self.watched(given) as states:
            said = self.model.logits(self.seen(given), self.blocks)
        if isinstance(self.model, Late):
            visual = self.model.eyes(self.seen(given))
            return [*((state[:, :-1], visual) for state in states), (said, visual)]
        p = self.model.tokens
        at_words = [(state[:, p:-1], state[:, :p]) for state in states]
        return [*at_words, (said[:, :, :-1], states[-1][:, :p])]

    @contextmanager
    def watched(self, given: Sequence[Tensor]) -> Iterator[list[Float[Tensor, "b s d"]]]:
        """The language model reads these words; what goes into each layer, and out of the last, is kept."""
        states: list[Tensor] = []

        def read(module: nn.Module, ids: tuple[Any, ...], words: Tensor) -> Tensor:
            return torch.stack([*given[len(STRIPS) :]]).reshape(words.shape)

        def keep(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            states.append(arguments[0])

        decoder = self.language.model
        hooks = [decoder.embed_tokens.register_forward_hook(read)]
        hooks += [layer.register_forward_pre_hook(keep) for layer in (*decoder.layers, decoder.norm)]
        try:
            yield states
        finally:
            for hook in hooks:
                hook.remove()


def drawn(found: Mapping[str, Found], across: int = 4, title: str = "Who can influence whom") -> Exhibit:
    """Every matrix beside the others. Dark with a 1: yes. Light: no. Hatched grey: there is no such token."""
    rows = max((one.rows for one in found.values()), key=len)
    columns = next(iter(found.values())).columns
    down = -(-len(found) // across)
    figure = Figure(figsize=(2.0 + 2.5 * across, 3.1 * down), layout="constrained")
    figure.suptitle(f"{title}: column = what is replaced, row = what moves", fontsize=10)
    for k, (name, one) in enumerate(found.items()):
        axes = figure.add_subplot(down, across, k + 1)
        lacking = len(rows) - len(one.rows)
        moved = torch.cat([torch.zeros(lacking, len(columns), dtype=torch.bool), one.moved]).numpy()
        axes.imshow(moved, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
        for r, row in enumerate(moved):
            for c, yes in enumerate(row):
                if yes:
                    axes.text(c, r, "1", ha="center", va="center", fontsize=6, color="white")
        if lacking:
            axes.axhspan(-0.5, lacking - 0.5, facecolor="#DDDDDD", edgecolor=GREY, hatch="//", linewidth=0)
        axes.axvline(len(STRIPS) - 0.5, color=GREY, linewidth=1)
        axes.axhline(len(TOKENS) - 0.5, color=GREY, linewidth=1)
        last = k + across >= len(found)
        axes.set_xticks(range(len(columns)), columns if last else [], fontsize=7, rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), rows if k % across == 0 else [], fontsize=7)
        axes.set_title(name, fontsize=9)
    lines: list[list[object]] = [
        [name, row, *map(int, line)]
        for name, one in found.items()
        for row, line in zip(one.rows, one.moved.tolist(), strict=True)
    ]
    said = "; ".join(f"{name}: {_in_words(one)}" for name, one in found.items())
    alt = f"{len(found)} tables of yes and no. {said}. Every entry is in the table."
    return exhibit(figure, alt, Table(["pattern", "what moves", *columns], lines))


def _in_words(one: Found) -> str:
    question = [name for name in one.columns if name not in STRIPS][:-1]
    asked = one.reaches(question, TOKENS)
    if not len(asked):
        front = "no visual token in the stream"
    else:
        front = (
            f"the words reach {'every' if asked.all() else 'no' if not asked.any() else 'some'} visual token"
        )
    heard = one.reaches(STRIPS, question).any(dim=1)
    words = "every word" if heard.all() else "no word" if not heard.any() else "some words"
    return f"{front}, the picture reaches {words} of the question"


def how_deep(found: Mapping[str, Mapping[str, Bool[Tensor, " stages"]]]) -> Exhibit:
    """From which stage on one side knows of the other, a row for each pattern."""
    n_layers = len(next(iter(next(iter(found.values())).values()))) - 2
    stages = ["into layer 1", *(f"out of {n}" for n in range(1, n_layers + 1)), "said"]
    panels = {heard: torch.stack([one[heard] for one in found.values()]).numpy() for heard in HEARD}
    figure = plots.yes_or_no(panels, list(found), stages, title="From where on they have met", across=2)
    said = []
    for heard, table in panels.items():
        first = [stages[int(row.argmax())] if row.any() else "nowhere" for row in table]
        for stage in dict.fromkeys(first):
            names = " · ".join(name for name, own in zip(found, first, strict=True) if own == stage)
            said.append(f"{heard}, {'never' if stage == 'nowhere' else f'first at {stage!r}'}: {names}")
    return replace(figure, alt=f"Two tables of yes and no. {'; '.join(said)}.")
