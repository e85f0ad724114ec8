"""Checks: one claim about learner code, asked of a *subject*.

A check is written once and runs over two drivers. In a notebook the subject is the learner's own object,
in process. In grading it is a handle on an object inside a sandboxed kernel: the check sends names,
arguments, weights and inputs, and gets tensors back. The comparison, and for hidden checks the reference,
stay on the grader's side.

    @claim("gated_cross_attention", "With the gate closed, the block changes nothing.")
    def closed_gate_changes_nothing(subject, reference, draw):        # hidden: three arguments
        part = stand_in("linear_read", d_text=12, d_visual=10)
        ours, theirs = build_pair(
            subject, reference, draw, attention=part, d_text=12, fixed={"alpha": torch.zeros(1)}
        )
        text, visual = draw.normal(2, 7, 12), draw.normal(2, 5, 10)
        expect_same(ours(text, visual), text, look="Is alpha 0 at the start, and passed through tanh?")

    @claim("gated_cross_attention", "The output has the shape of the text.")
    def output_has_the_shape_of_the_text(subject, draw):               # public: two arguments, no reference
        ...

A check that does not hold raises `CheckFailure`: claim, seen, look. It never prints an expected tensor. One
that holds may return a clause with what it measured, which becomes `seen` of its outcome.
Boolean masks drawn here say True = keep.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from course_lib import driver, wire
from course_lib.errors import CheckFailure, CourseError, SubjectError

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]
Listed = TypeVar("Listed", int, str)
TOLERANCE = 1e-5


# -- subjects --------------------------------------------------------------------------------------------


@dataclass
class Gradients:
    """What came back from pulling a cotangent through a call.

    Args:
        output: the call's output.
        inputs: one gradient per tensor argument, in order of appearance; None where none arrived.
        parameters: gradient by parameter name; None where none arrived.
    """

    output: Any
    inputs: list[Tensor | None]
    parameters: dict[str, Tensor | None]


class Subject:
    """A learner's class or function, wherever it lives.

    Args:
        name: the name the exercise asks for.
        ask: answers a request; `driver.Driver.answer` in process, a kernel's channel in grading.
        transcript: every reply is appended to it when given. Equal transcripts mean equal behaviour.
    """

    def __init__(self, name: str, ask: Ask, transcript: list[Any] | None = None) -> None:
        self.name = name
        self._ask = ask
        self._transcript = transcript
        self._fresh = False

    @classmethod
    def here(cls, name: str, found: Any, transcript: list[Any] | None = None) -> "Subject":
        """A subject in this very process."""
        return cls(name, driver.in_process(name, found), transcript)

    def request(self, op: str, **details: Any) -> dict[str, Any]:
        """Ask one thing. Raises `SubjectError` when the learner's code raised."""
        return self._read(self._send({"op": op, **details}))

    def several(self, *requests: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Ask several things in one message, and read one reply after another, as if each were asked alone.

        What comes after one that went wrong was not done. A request names what was built last `Handle(0)`.
        """
        whole = self._send({"op": "several", "requests": list(requests)})
        replies = whole.get("replies") if isinstance(whole, dict) else None
        if not isinstance(replies, list):
            self._read(whole)
            replies = []
        for reply in replies[: len(requests)]:
            yield self._read(reply)
        raise SubjectError("Unreadable", "the notebook's kernel gave an answer that is not one")

    def _send(self, request: dict[str, Any]) -> Any:
        fresh, self._fresh = self._fresh, False
        return self._ask({**request, "fresh": True} if fresh else request)

    def _read(self, reply: Any) -> dict[str, Any]:
        if not isinstance(reply, dict) or type(reply.get("ok")) is not bool:
            raise SubjectError("Unreadable", "the notebook's kernel gave an answer that is not one")
        if self._transcript is not None:
            self._transcript.append(reply)
        if not reply["ok"]:
            kind, message, also = reply.get("kind"), reply.get("message"), reply.get("also")
            names = tuple(str(name)[:80] for name in also[:9]) if isinstance(also, list) else ()
            line = str(reply.get("line") or "")[: driver.LINE_CAP]
            raise SubjectError(str(kind)[:80], str(message)[: driver.MESSAGE_CAP], names, line)
        return reply

    def describe(self) -> tuple[str, str]:
        """("class" | "function" | "other" | "missing", name of its type)."""
        reply = self.request("describe", name=self.name)
        return str(reply.get("what"))[:20], str(reply.get("type"))[:80]

    def forget(self) -> None:
        """Drop every object built so far: the next request says so, and no message is spent on it."""
        self._fresh = True

    def build(self, *args: Any, **kwargs: Any) -> "Instance":
        """Call the class. Arguments may hold tensors, and stand-ins for earlier parts."""
        reply = self.request("build", name=self.name, args=_plain(args), kwargs=_plain(kwargs))
        return Instance(self, _handle(reply))

    def build_from(self, seed: int, *args: Any, **kwargs: Any) -> "Instance":
        """Call the class, and draw what it draws from torch's generator with this seed."""
        details = {"args": _plain(args), "kwargs": _plain(kwargs), "seed": seed}
        return Instance(self, _handle(self.request("build", name=self.name, **details)))

    def build_with(self, weights: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> "Instance":
        """Call the class, load weights and set eval mode, in one message.

        Raises:
            CheckFailure: the module does not take the weights; see `load_or_fail`.
        """
        last = wire.Handle(0)
        replies = self.several(
            {"op": "build", "name": self.name, "args": _plain(args), "kwargs": _plain(kwargs)},
            {"op": "load", "handle": last, "weights": dict(weights)},
            {"op": "mode", "handle": last, "training": False},
        )
        built = Instance(self, _handle(next(replies)))
        _fit_or_fail(lambda: _unloaded(next(replies)))
        next(replies)
        return built

    def build_stand_in(self, name: str, **kwargs: Any) -> "Instance":
        """Build one of `course_lib.stand_ins` beside the learner's object, to pass to it."""
        reply = self.request("build_stand_in", stand_in=wire.StandIn(name, kwargs))
        return Instance(self, _handle(reply))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and return its value."""
        return self.request("call", target=self.name, args=_plain(args), kwargs=_plain(kwargs)).get("value")

    def changed_inputs(self, *args: Any, **kwargs: Any) -> list[int]:
        """Call the function; return which of its tensor arguments it wrote into."""
        reply = self.request("call", target=self.name, args=_plain(args), kwargs=_plain(kwargs))
        return _list_of(int, reply, "changed_inputs")

    def gradients(self, *args: Any, cotangent: Tensor, of: str | None = None, **kwargs: Any) -> Gradients:
        """Call the function on inputs that need gradients, and pull `cotangent` back through it.

        A function that returns a dict is pulled back through its entry `of`.
        """
        return _gradients(
            self.request(
                "call",
                target=self.name,
                args=_plain(args),
                kwargs=_plain(kwargs),
                cotangent=cotangent,
                grad=True,
                of=of,
            )
        )


class Instance:
    """An object that a subject built: usually an nn.Module on the learner's side."""

    def __init__(self, subject: Subject, handle: wire.Handle) -> None:
        self.subject = subject
        self.handle = handle

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        reply = self.subject.request("call", target=self.handle, args=_plain(args), kwargs=_plain(kwargs))
        return reply.get("value")

    def changed_inputs(self, *args: Any, **kwargs: Any) -> list[int]:
        """Call it; return which of its tensor arguments it wrote into."""
        reply = self.subject.request("call", target=self.handle, args=_plain(args), kwargs=_plain(kwargs))
        return _list_of(int, reply, "changed_inputs")

    def gradients(self, *args: Any, cotangent: Tensor, **kwargs: Any) -> Gradients:
        """Call it on inputs that need gradients, and pull `cotangent` back through it."""
        return _gradients(
            self.subject.request(
                "call",
                target=self.handle,
                args=_plain(args),
                kwargs=_plain(kwargs),
                cotangent=cotangent,
                grad=True,
            )
        )

    def parameter_gradients(self, *args: Any, cotangent: Tensor) -> dict[str, Tensor | None]:
        """Pull `cotangent` back as `gradients` does; those of parameters alone, as bfloat16 has them."""
        reply = self.subject.request(
            "call",
            target=self.handle,
            args=_plain(args),
            kwargs={},
            cotangent=cotangent,
            grad=True,
            only_parameters=True,
        )
        found = _gradients(reply).parameters
        return {name: None if one is None else one.float() for name, one in found.items()}

    def flops(self, *args: Any, **kwargs: Any) -> int:
        """FLOPs of one call, a multiplication and an addition counted as two."""
        reply = self.subject.request("flops", target=self.handle, args=_plain(args), kwargs=_plain(kwargs))
        value = reply.get("value")
        if type(value) is not int:
            raise SubjectError("Unreadable", "the number of FLOPs is not a whole number")
        return value

    def parameters(self) -> dict[str, Tensor]:
        """Every parameter by name."""
        value = self.subject.request("parameters", handle=self.handle).get("value")
        if not isinstance(value, dict) or not all(isinstance(p, Tensor) for p in value.values()):
            raise SubjectError("Unreadable", "the list of parameters is not one")
        return value

    def load(self, weights: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
        """Load weights by name; return (parameters that got none, names that fit nowhere)."""
        return _unloaded(self.subject.request("load", handle=self.handle, weights=dict(weights)))

    def train(self, training: bool = True) -> None:
        self.subject.request("mode", handle=self.handle, training=training)

    def eval(self) -> None:
        self.train(False)

    def report(self) -> dict[str, dict[str, Any]]:
        """{"requires_grad": by parameter, "training": by submodule, "buffers": by name}."""
        reply = self.subject.request("report", handle=self.handle)
        parts = {}
        for key, kind in (("requires_grad", bool), ("training", bool), ("buffers", Tensor)):
            part = reply.get(key)
            if not isinstance(part, dict) or not all(isinstance(value, kind) for value in part.values()):
                raise SubjectError("Unreadable", "the report about the module is not one")
            parts[key] = dict(part)
        return parts


def stand_in(name: str, **kwargs: Any) -> wire.StandIn:
    """A plain part to pass as an argument; built on the learner's side from `course_lib.stand_ins`."""
    return wire.StandIn(name, kwargs)


# -- drawing ---------------------------------------------------------------------------------------------


class Draw:
    """Random inputs from one seed. Fresh for every check, so that no answer can be prepared.

    Args:
        seed: any non-negative integer; in grading it is secret until the verdict records it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed % (1 << 63))

    def normal(self, *shape: int, std: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=self.generator) * std

    def uniform(self, low: int | float, high: int | float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers from `low` up to and without `high`."""
        return torch.randint(low, high, shape, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        return int(self.integers(low, high, 1).item())

    def permutation(self, n: int) -> Tensor:
        """A random order of n things, never the order they came in (n >= 2)."""
        while True:
            order = torch.randperm(n, generator=self.generator)
            if n < 2 or not torch.equal(order, torch.arange(n)):
                return order

    def keep_mask(self, b: int, v: int) -> Tensor:
        """bool[b v], True = keep; every row keeps something, and something is hidden somewhere."""
        while True:
            mask = torch.rand(b, v, generator=self.generator) < 0.6
            if bool(mask.any(dim=1).all()) and not bool(mask.all()):
                return mask

    def weights_like(self, parameters: Mapping[str, Tensor], std: float = 0.3) -> dict[str, Tensor]:
        """Re-draw every parameter: fresh modules hide errors behind zeros and ones."""
        return {name: self.normal(*p.shape, std=std) for name, p in parameters.items()}


def build_pair(
    subject: Subject,
    reference: Subject,
    draw: Draw,
    /,
    *args: Any,
    fixed: Mapping[str, Tensor] | None = None,
    std: float = 0.3,
    **kwargs: Any,
) -> tuple[Instance, Instance]:
    """Build the learner's module and the reference alike, with the same freshly drawn weights, in eval mode.

    Args:
        fixed: parameters to set rather than draw, by name.
        std: standard deviation of the drawn ones.

    Raises:
        CheckFailure: the learner's module does not take the weights, with its own names in `seen`.
    """
    theirs = reference.build(*args, **kwargs)
    weights = {**draw.weights_like(theirs.parameters(), std=std), **(fixed or {})}
    theirs.load(weights)
    theirs.eval()
    return subject.build_with(weights, *args, **kwargs), theirs


def load_or_fail(instance: Instance, weights: Mapping[str, Tensor]) -> None:
    """Load weights; a module that does not take them fails the check with the names it has."""
    _fit_or_fail(lambda: instance.load(weights))


def _fit_or_fail(load: Callable[[], tuple[list[str], list[str]]]) -> None:
    look = (
        "Weights travel by name, as in a real checkpoint. Do the layers have the names and sizes that "
        "the exercise "
        "states, and nothing besides?"
    )
    try:
        missing, unexpected = load()
    except SubjectError as problem:
        if "size mismatch" not in problem.message:
            raise
        mismatch = problem.message[problem.message.index("size mismatch") :].split(". ")[0].split("\n")[0]
        raise CheckFailure("", f"a {mismatch[:160]}", look) from None
    if missing or unexpected:
        seen = []
        if unexpected:
            seen.append("no parameter is called " + ", ".join(sorted(str(name) for name in unexpected)[:6]))
        if missing:
            seen.append(
                "parameters nobody asked for: " + ", ".join(sorted(str(name) for name in missing)[:6])
            )
        raise CheckFailure("", "; ".join(seen), look)


# -- expectations ----------------------------------------------------------------------------------------


def expect(condition: bool, *, seen: str, look: str) -> None:
    """The plainest expectation: say what was seen and where to look."""
    if not condition:
        raise CheckFailure("", seen, look)


def expect_tensor(
    seen: Any, shape: Sequence[int] | None = None, *, look: str = "What does the last line return?"
) -> Tensor:
    """`seen` is a tensor, of this shape when one is given. Returns it."""
    if not isinstance(seen, Tensor):
        raise CheckFailure("", f"{_what(seen)} instead of a tensor", look)
    if shape is not None and tuple(seen.shape) != tuple(shape):
        raise CheckFailure("", f"shape {tuple(seen.shape)}", look)
    return seen


def expect_finite(seen: Any, *, look: str) -> None:
    """Every number in `seen` is finite."""
    bad = int((~torch.isfinite(expect_tensor(seen).double())).sum())
    if bad:
        raise CheckFailure("", f"{bad} of {seen.numel()} numbers are NaN or infinite", look)


def expect_same(seen: Any, expected: Tensor, *, look: str, tolerance: float = TOLERANCE) -> None:
    """Equal in shape, and in value up to `tolerance` (relative to the expected size where that is above 1).

    Exact when `tolerance` is 0, and always exact for whole numbers and booleans.
    """
    seen = expect_tensor(seen, look=look)
    if seen.shape != expected.shape:
        raise CheckFailure("", f"shape {tuple(seen.shape)} where {tuple(expected.shape)} is right", look)
    if not expected.is_floating_point():
        if seen.is_floating_point():
            raise CheckFailure("", f"numbers of type {seen.dtype}", look)
        differ = int((seen.long() != expected.long()).sum())
        if differ:
            raise CheckFailure("", f"{differ} of {expected.numel()} entries differ", look)
        return
    gap = largest_difference(seen, expected)
    scale = max(1.0, float(expected.abs().max()) if expected.numel() else 1.0)
    if not (math.isfinite(gap) and gap <= tolerance * scale):  # an infinite scale would allow anything
        raise CheckFailure("", f"largest difference {gap:.2g} (allowed {tolerance:g})", look)


def expect_different(seen: Any, other: Tensor, *, look: str, least: float = 1e-3) -> None:
    """Differs somewhere by at least `least`: the positive control beside an invariance."""
    seen = expect_tensor(seen, other.shape, look=look)
    gap = largest_difference(seen, other)
    if not gap >= least:
        raise CheckFailure("", f"largest difference {gap:.2g} (at least {least:g} was expected)", look)


def expect_equal(seen: Any, expected: Any, *, look: str, name: str = "value") -> None:
    """Plain values are equal, in value and in kind: 1 is not 1.0, nor True."""
    if type(seen) is not type(expected) or seen != expected:
        raise CheckFailure("", f"{name} is {_what(seen)}", look)


def expect_raises(call: Callable[[], Any], kind: str, *, mentions: Sequence[object] = (), look: str) -> None:
    """The call raises an error of this kind, or one under it, whose message holds each of `mentions`."""
    try:
        call()
    except SubjectError as problem:
        if problem.kind == "NotImplementedError":
            raise
        if kind != problem.kind and kind not in problem.also:
            raise CheckFailure(
                "", f"{problem.kind} ({problem.message[:80]}) where {kind} is asked for", look
            ) from None
        lacking = [str(item) for item in mentions if str(item) not in problem.message]
        if lacking:
            raise CheckFailure(
                "",
                f"a {kind} whose message does not name {', '.join(lacking)}: {problem.message[:120]!r}",
                look,
            ) from None
        return
    raise CheckFailure("", f"no error at all where {kind} is asked for", look)


def expect_keys(seen: Any, keys: Sequence[str], *, look: str) -> dict[str, Any]:
    """`seen` is a dict with these keys. Returns it."""
    if not isinstance(seen, dict):
        raise CheckFailure("", f"{_what(seen)} instead of a dict with {', '.join(keys)}", look)
    lacking = [key for key in keys if key not in seen]
    if lacking:
        raise CheckFailure("", f"a dict without {', '.join(lacking)}", look)
    return seen


def largest_difference(left: Tensor, right: Tensor) -> float:
    """Largest absolute difference; infinite where one side is not finite."""
    if left.numel() == 0:
        return 0.0
    gap = (left.double() - right.double()).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    return float(gap.max())


def _what(seen: Any) -> str:
    if isinstance(seen, wire.Other):
        return f"an object of type {seen.type_name}"
    if isinstance(seen, Tensor):
        return f"a tensor of shape {tuple(seen.shape)}"
    if seen is None:
        return "None"
    return f"{type(seen).__name__} {str(seen)[:60]}"


# -- checks and their outcomes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One claim about learner code.

    Args:
        name: the function's name, a sentence that can be false.
        exercise: the exercise it belongs to.
        claim: what should be true, in the learner's terms.
        weight: its share of the exercise's points, relative to its siblings.
        public: True if it ships with the notebook and takes no reference.
        function: (subject, draw) or (subject, reference, draw); returns what it measured, or None.
    """

    name: str
    exercise: str
    claim: str
    weight: float
    public: bool
    function: Callable[..., str | None] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What one check found."""

    check: Check
    passed: bool
    seen: str = ""
    look: str = ""
    not_written: bool = False


def claim(
    exercise: str, text: str, weight: int | float = 1.0
) -> Callable[[Callable[..., str | None]], Callable[..., str | None]]:
    """Make a function a check of `exercise` that claims `text`."""

    def mark(function: Callable[..., str | None]) -> Callable[..., str | None]:
        names = list(inspect.signature(function).parameters)
        if names not in (["subject", "draw"], ["subject", "reference", "draw"]):
            raise CourseError(
                f"check {function.__name__} takes ({', '.join(names)}); "
                "a public check takes (subject, draw), a hidden one (subject, reference, draw)."
            )
        function.check = Check(  # type: ignore[attr-defined]
            function.__name__,
            exercise,
            text,
            float(weight),
            public="reference" not in names,
            function=function,
        )
        return function

    return mark


def checks_in(namespace: Mapping[str, Any]) -> list[Check]:
    """Every check defined in a module's namespace, in the order of definition."""
    found = [value.check for value in namespace.values() if isinstance(getattr(value, "check", None), Check)]
    return list(dict.fromkeys(found))


def run_check(check: Check, subject: Subject, reference: Subject | None, seed: int) -> Outcome:
    """Run one check. A learner's failure becomes an outcome; a fault of the check itself is raised."""
    draw = Draw(seed)
    try:
        subject.forget()
        if check.public:
            measured = check.function(subject, draw)
        else:
            if reference is None:
                raise CourseError(f"the hidden check {check.name} needs a reference.")
            reference.forget()
            measured = check.function(subject, reference, draw)
    except CheckFailure as failure:
        return Outcome(check, False, failure.seen, failure.look)
    except SubjectError as problem:
        return Outcome(check, False, *_explain(problem), not_written=problem.kind == "NotImplementedError")
    return Outcome(check, True, measured or "")


def _explain(problem: SubjectError) -> tuple[str, str]:
    if problem.kind == "NotImplementedError":
        return (
            f"the exercise is not written yet ({problem.message})",
            "Write the gap, run its cell, then run the check again.",
        )
    if problem.kind == "NameError" and "is not defined" in problem.message:
        return f"{problem}", "Is the cell above run, and does it define every name it uses?"
    look = "Run the cell with one small input of your own: which line raises, and on what shape?"
    if problem.line:
        look = f"Your line `{problem.line}` raises. What goes into it, in which shapes? Try a small input."
    return f"it raised {' '.join(str(problem).split())}", look  # torch writes some errors over several lines


def door(namespace: Mapping[str, Any]) -> Callable[[str, Any], None]:
    """The one function a notebook imports from its week's public checks: `check(exercise, your_object)`."""

    def check(exercise: str, found: Any) -> None:
        """Run the public checks of one exercise on your object; silence is not success, a line is printed."""
        known = checks_in(namespace)
        mine = [one for one in known if one.exercise == exercise]
        if not mine:
            raise CourseError(
                f"no exercise is called {exercise!r}; this notebook has "
                f"{', '.join(dict.fromkeys(one.exercise for one in known))}."
            )
        name = getattr(found, "__name__", exercise)
        for one in mine:
            outcome = run_check(one, Subject.here(str(name), found), None, seed=0)
            if not outcome.passed:
                # `from None` and IPython's `_render_traceback_` keep our frames off the learner's page.
                raise CheckFailure(one.claim, outcome.seen, outcome.look) from None
        plural = "" if len(mine) == 1 else "s"
        print(f"{exercise}: {len(mine)} public check{plural} passed.")

    return check


def same_behaviour(left: Sequence[Any], right: Sequence[Any], tolerance: float = TOLERANCE) -> bool:
    """True if two transcripts agree: the same replies, tensors up to `tolerance`, errors in kind."""
    return len(left) == len(right) and all(_alike(a, b, tolerance) for a, b in zip(left, right, strict=True))


def _alike(left: Any, right: Any, tolerance: float) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if left.shape != right.shape or left.dtype != right.dtype:
            return False
        if not left.is_floating_point():
            return torch.equal(left, right)
        finite = torch.isfinite(left)
        if not torch.equal(finite, torch.isfinite(right)):
            return False
        scale = max(1.0, float(right[finite].abs().max())) if bool(finite.any()) else 1.0
        return largest_difference(left[finite], right[finite]) <= tolerance * scale
    if isinstance(left, dict) and isinstance(right, dict):
        if left.get("ok") is False and right.get("ok") is False:
            return left.get("kind") == right.get("kind")
        return left.keys() == right.keys() and all(_alike(left[key], right[key], tolerance) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(
            _alike(a, b, tolerance) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, float) and isinstance(right, float):
        return left == right or abs(left - right) <= tolerance or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and bool(left == right)


def _plain(node: Any) -> Any:
    """Arguments as they travel: instances become handles."""
    if isinstance(node, Instance):
        return node.handle
    if isinstance(node, dict):
        return {key: _plain(item) for key, item in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(item) for item in node)
    return node


def _list_of(kind: type[Listed], reply: Mapping[str, Any], key: str) -> list[Listed]:
    """A list in a reply, which may come from anybody."""
    found = reply.get(key)
    if not isinstance(found, list) or not all(type(one) is kind for one in found):
        raise SubjectError("Unreadable", f"the list of {key.replace('_', ' ')} is not one")
    return found


def _unloaded(reply: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return _list_of(str, reply, "missing"), _list_of(str, reply, "unexpected")


def _handle(reply: Mapping[str, Any]) -> wire.Handle:
    handle = reply.get("value")
    if not isinstance(handle, wire.Handle):
        raise SubjectError("Unreadable", "the notebook's kernel built something that it cannot name")
    return handle


def _gradients(reply: Mapping[str, Any]) -> Gradients:
    problem = reply.get("gradient_problem")
    if problem is not None:
        raise CheckFailure("", str(problem)[:120], "Does the output have the shape that the exercise states?")
    inputs, parameters = reply.get("input_gradients"), reply.get("parameter_gradients", {})
    if (
        not isinstance(inputs, list)
        or not isinstance(parameters, dict)
        or not all(one is None or isinstance(one, Tensor) for one in [*inputs, *parameters.values()])
    ):
        raise SubjectError("Unreadable", "the gradients that came back are not gradients")
    return Gradients(reply.get("value"), inputs, parameters)
