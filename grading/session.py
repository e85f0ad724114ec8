"""One submission in a kernel: its cells run once, and again in a fresh kernel whenever the kernel dies.

A cell that raises does not stop the cells after it. A cell that kills or hangs the kernel is left out of the
next run. When that does not help, because something started earlier kills the kernel later, only cells that
do nothing but import and define are run: what an exercise needs is there, and what ran wild is not.
"""

import ast
import dataclasses
import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grading.ask import NoAnswer
from grading.kernel import CellEnd, Kernel, KernelDied, run_cells
from grading.limits import Limits

CELLS_SHARE = 0.7  # of a submission's time, on the wall and of processors; the rest is kept for the questions
DEATHS_BEFORE_DEFINITIONS = 3
DEATHS = 6
QUESTION_DEATHS = 2

DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Session:
    """Keeps a live kernel in which a submission's cells have been run.

    Args:
        cells: the notebook's cells, with cell_type and source.
        left_out: places of cells that are not run, such as experiments.
        edition: the folder with the learner's course_lib.
        rung: the sandbox.
        imports: for kernels forked from a warm parent that has them; None for interpreters of their own.
    """

    def __init__(
        self,
        cells: Sequence[dict[str, Any]],
        left_out: set[int],
        edition: Path,
        limits: Limits,
        rung: str,
        imports: Sequence[str] | None = None,
    ) -> None:
        self.cells = list(cells)
        self.left_out = left_out
        self.edition = edition
        self.limits = limits
        self.rung = rung
        self.imports = imports
        self.deadline = time.monotonic() + limits.submission_s
        self.cells_deadline = time.monotonic() + limits.submission_s * CELLS_SHARE
        self.ends: dict[int, CellEnd] = {}
        self.only_definitions = False
        self.starts = 0
        self._bad: set[int] = set()
        self._suspects: set[int] = set()
        self._deaths = 0
        self._question_deaths = 0
        self._cpu_before_s = 0.0  # of kernels that are gone
        self._kernel: Kernel | None = None

    def kernel(self) -> Kernel:
        """The live kernel; a fresh one, with the cells run, if there is none.

        Raises:
            NoAnswer: the submission's time, on the wall or of processors, is over, or its kernel dies
                whatever is left out.
        """
        if self._kernel is not None and not self._kernel.alive:
            # It left on its own between two questions: something in it still runs.
            self.lose()
        while self._kernel is None:
            if time.monotonic() > self.deadline:
                raise NoAnswer(True, f"{self.limits.used_up('submission_s')} were over")
            if self.cpu_left_s() <= 0:
                raise NoAnswer(True, f"{self.limits.used_up('submission_cpu_s')} were used up")
            if self._deaths >= DEATHS:
                raise NoAnswer(False, "the kernel died again and again")
            kernel = Kernel(self.edition, self.limits, self.rung, self.imports)
            self.starts += 1
            try:
                run_cells(self.cells, functools.partial(self._run, kernel))
                self._kernel = kernel
            except KernelDied:
                self._end(kernel)
                self._deaths += 1
                if self._deaths == DEATHS_BEFORE_DEFINITIONS:
                    self.definitions_only()
            except BaseException:
                kernel.close()
                raise
        return self._kernel

    def lose(self) -> None:
        """Give the kernel up: it died, or hangs, over a question."""
        if self._kernel is None:
            return
        self.renew()
        self._question_deaths += 1
        if self._question_deaths == QUESTION_DEATHS:
            self.definitions_only()

    def renew(self) -> None:
        """The next kernel is a fresh one: this one lives, and holds what somebody may miss."""
        if self._kernel is not None:
            self._end(self._kernel)
            self._kernel = None

    def cpu_left_s(self, share: float = 1.0) -> float:
        """What is left of a share of the submission's processor time."""
        now = self._kernel.cpu_s if self._kernel is not None else 0.0
        return share * self.limits.amount("submission_cpu_s") - self._cpu_before_s - now

    def close(self) -> None:
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None

    def definitions_only(self) -> None:
        """From the next kernel on, run only cells that import and define."""
        # Cells were blamed for what may have been started elsewhere: those that only define get one more try.
        self.only_definitions = True
        self._bad.clear()

    def _end(self, kernel: Kernel) -> None:
        kernel.close()
        self._cpu_before_s += kernel.cpu_s

    def _run(self, kernel: Kernel, place: int, source: str) -> None:
        if place in self.left_out or place in self._bad:
            return
        left = self._left(kernel)
        late = next((name for name, amount in left.items() if amount <= 0), "")
        if (self.only_definitions or late) and not only_defines(source):
            if late:
                self.ends.setdefault(place, CellEnd("late", limit=late))
            return
        if late:  # for what only defines, the questions' share, and any output
            left = {
                "submission_s": self.deadline - time.monotonic(),
                "submission_cpu_s": left["submission_cpu_s"] + self._questions_cpu_s,
                "submission_output_kb": math.inf,
            }
        names = {}
        allowed = {}
        for kind in ("s", "cpu_s", "output_kb"):
            cell, whole = self.limits.amount(f"cell_{kind}"), left[f"submission_{kind}"]
            names[kind] = f"cell_{kind}" if cell <= whole else f"submission_{kind}"
            allowed[kind] = max(min(cell, whole), 0.0)
        end = kernel.run(source, allowed["s"], allowed["cpu_s"], allowed["output_kb"])
        end = dataclasses.replace(end, limit=names.get(end.limit, end.limit))
        # A cell that only defines starts nothing that could end a kernel: something else did, and if that
        # came from outside, it does not come again. It is run once more.
        innocent = end.status == "dead" and place not in self._suspects and only_defines(source)
        if innocent:
            self._suspects.add(place)
        elif end.status in ("slow", "dead"):
            self._bad.add(place)
        if (end.status != "ok" or end.limit) and not innocent:
            self.ends.setdefault(place, end)
        if end.status == "dead":
            raise KernelDied(end.kind)

    def _left(self, kernel: Kernel) -> dict[str, float]:
        """What the submission's limits leave to the cells from here on; what the kernel prints is its own."""
        return {
            "submission_s": self.cells_deadline - time.monotonic(),
            "submission_cpu_s": self.cpu_left_s(CELLS_SHARE) - kernel.cpu_s,
            "submission_output_kb": self.limits.submission_output_kb - kernel.printed_bytes / 1000,
        }

    @property
    def _questions_cpu_s(self) -> float:
        return (1 - CELLS_SHARE) * self.limits.amount("submission_cpu_s")


def only_defines(source: str) -> bool:
    """True for a cell of imports, functions, classes and assigned constants: nothing that starts anything."""
    plain = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    try:
        body = ast.parse(plain).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, DEFINING) or _constant(node) for node in body)


def _constant(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    calls = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(isinstance(part, calls) for part in ast.walk(node.value))
