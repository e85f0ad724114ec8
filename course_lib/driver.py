"""Answers a check's requests about a learner's objects, on the side where those objects live.

The driver is small and generic. It knows no expected value, no week and no exercise: it builds what it is
asked to build, calls it with the tensors it is given, and reports what came out. In a notebook it is called
directly; in grading it runs inside the sandboxed kernel and the requests arrive over a socket (`serve`).

A request is a dict with an "op"; the reply is {"ok": True, ...} or {"ok": False, "kind", "also", "message",
"line"}. A request that is "fresh" drops every object built so far before it is answered.
"""

import contextlib
import io
import linecache
import math
import socket
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib import stand_ins, wire

Reply = dict[str, Any]
MESSAGE_CAP = 400
LINE_CAP = 100  # of the line that was running
VALUE_DEPTH_CAP = wire.DEPTH_CAP - 2  # a value travels inside a reply


def _numbers_out(*_: Any, out_shape: Any, **__: Any) -> int:
    return math.prod(out_shape)


def _numbers_in(shape: Any, *_: Any, **__: Any) -> int:
    return math.prod(shape)


# What torch's counter takes for free, and what it costs: one FLOP a number.
WRITTEN_OUT = {
    torch.ops.aten.mul: _numbers_out,
    torch.ops.aten.sum: _numbers_in,
    torch.ops.aten.mean: _numbers_in,
}


class Driver:
    """Holds the objects that a check has built, and answers requests about them.

    Args:
        namespace: where the learner's names are looked up: a notebook's variables, or a single object by
            its name.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self.objects: dict[int, Any] = {}

    def answer(self, request: Mapping[str, Any]) -> Reply:
        """Answer one request. Whatever the learner's code raises becomes part of the reply."""
        try:
            operation: Callable[..., Reply] = getattr(self, f"_op_{request['op']}")
            if request.get("fresh"):
                self.objects.clear()
            # The same question must get the same answer, whatever was drawn before it. The CPU's generator
            # alone: torch.manual_seed also formats a stack trace for devices that are not there, in 0.5 ms.
            torch.default_generator.manual_seed(int(request.get("seed", 0)))
            details = {key: value for key, value in request.items() if key not in ("op", "seed", "fresh")}
            return {"ok": True, **operation(**details)}
        except BaseException as problem:
            return _failed(problem)

    # -- what is there ---------------------------------------------------------------------------------------

    def _op_describe(self, name: str) -> Reply:
        if name not in self.namespace:
            return {"what": "missing", "type": ""}
        found = self.namespace[name]
        what = "class" if isinstance(found, type) else "function" if callable(found) else "other"
        return {"what": what, "type": type(found).__name__[:80]}

    def _op_forget(self) -> Reply:
        self.objects.clear()
        return {}

    def _op_several(self, requests: list[dict[str, Any]]) -> Reply:
        """Answer requests in turn, up to the first that goes wrong: one message instead of many."""
        replies: list[Reply] = []
        for request in requests:
            replies.append(self.answer(request))
            if not replies[-1]["ok"] or replies[-1].get("missing") or replies[-1].get("unexpected"):
                break
        return {"replies": replies}

    # -- building and calling --------------------------------------------------------------------------------

    def _op_build(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reply:
        args, kwargs, _ = self._unpack(args, kwargs)
        return self._keep(self._find(name)(*args, **kwargs))

    def _op_build_stand_in(self, stand_in: wire.StandIn) -> Reply:
        return self._keep(stand_ins.build(stand_in.name, **stand_in.kwargs))

    def _op_call(
        self,
        target: "str | wire.Handle",
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        cotangent: Tensor | None = None,
        grad: bool = False,
        of: str | None = None,
        only_parameters: bool = False,
    ) -> Reply:
        """Call a function by name or a module by handle; with `grad`, pull `cotangent` back through it.

        Where the output is a dict, `of` names the entry through which the cotangent is pulled. With
        `only_parameters`, only the parameters' gradients are sent, in half as many bytes: enough for one step
        of a training after another, which needs little more of a gradient than its direction.
        """
        function = self._find(target) if isinstance(target, str) else self._object(target)
        given = (args, kwargs)
        args, kwargs, leaves = self._unpack(args, kwargs)
        before = _tensors(given)  # the function gets copies of them
        if grad:
            for leaf in leaves:
                leaf.requires_grad_(leaf.is_floating_point() and not only_parameters)
            if isinstance(function, nn.Module):
                function.zero_grad(set_to_none=True)
        with torch.set_grad_enabled(grad):
            output = function(*args, **kwargs)
        changed = [
            index
            for index, (leaf, was) in enumerate(zip(leaves, before, strict=True))
            if not _same_bits(leaf.detach(), was)
        ]
        reply: Reply = {"value": None if only_parameters else self._pack(output), "changed_inputs": changed}
        if grad:
            if of is not None and isinstance(output, Mapping) and of in output:
                output = output[of]
            if not isinstance(output, Tensor):
                raise TypeError(f"a tensor was expected as output, not {type(output).__name__}")
            if cotangent is None or cotangent.shape != output.shape:
                reply["gradient_problem"] = f"the output has shape {tuple(output.shape)}"
                return reply
            if output.requires_grad:
                (output * cotangent.to(output.dtype)).sum().backward()  # type: ignore[no-untyped-call]
            reply["input_gradients"] = [leaf.grad for leaf in leaves]
            if isinstance(function, nn.Module):
                found = {name: p.grad for name, p in function.named_parameters()}
                if only_parameters:
                    found = {name: None if g is None else g.to(torch.bfloat16) for name, g in found.items()}
                reply["parameter_gradients"] = found
        return reply

    def _op_flops(self, target: "str | wire.Handle", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reply:
        """FLOPs of one call, a multiplication and an addition counted as two.

        torch's counter knows matrix products and convolutions. Three things it would miss are seen here, too:
        fused attention on a CPU and the fast path of torch's attention, which are switched off, and products
        and sums that are written out, number by number.
        """
        function = self._find(target) if isinstance(target, str) else self._object(target)
        args, kwargs, _ = self._unpack(args, kwargs)
        fast = torch.backends.mha.get_fastpath_enabled()
        counter = FlopCounterMode(display=False, custom_mapping=WRITTEN_OUT)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            # With gradients: without them, the counter trips over a parameter that is handed to a module.
            with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), counter:
                function(*args, **kwargs)
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
        return {"value": int(counter.get_total_flops())}

    # -- a module's inside -----------------------------------------------------------------------------------

    def _op_parameters(self, handle: wire.Handle) -> Reply:
        return {"value": {name: p.detach().clone() for name, p in self._module(handle).named_parameters()}}

    def _op_load(self, handle: wire.Handle, weights: dict[str, Tensor]) -> Reply:
        module = self._module(handle)
        outcome = module.load_state_dict({k: v.clone() for k, v in weights.items()}, strict=False)
        # Buffers may keep their values; parameters may not.
        parameters = dict(module.named_parameters())
        missing = [key for key in outcome.missing_keys if key in parameters]
        return {"missing": missing[:50], "unexpected": list(outcome.unexpected_keys)[:50]}

    def _op_mode(self, handle: wire.Handle, training: bool) -> Reply:
        self._module(handle).train(training)
        return {}

    def _op_report(self, handle: wire.Handle) -> Reply:
        module = self._module(handle)
        return {
            "requires_grad": {name: bool(p.requires_grad) for name, p in module.named_parameters()},
            "training": {name: bool(part.training) for name, part in module.named_modules()},
            "buffers": {name: b.detach().clone() for name, b in module.named_buffers()},
        }

    # -- helpers ---------------------------------------------------------------------------------------------

    def _find(self, name: str) -> Any:
        if name not in self.namespace:
            raise NameError(f"name {name!r} is not defined")
        return self.namespace[name]

    def _object(self, handle: wire.Handle) -> Any:
        number = handle.number or len(self.objects)  # 0 is whatever was built last
        if number not in self.objects:
            raise LookupError(f"no object number {handle.number} is kept here")
        return self.objects[number]

    def _module(self, handle: wire.Handle) -> nn.Module:
        found = self._object(handle)
        if not isinstance(found, nn.Module):
            raise TypeError(f"an nn.Module was expected, not {type(found).__name__}; inherit from nn.Module")
        return found

    def _keep(self, built: Any) -> Reply:
        number = len(self.objects) + 1
        self.objects[number] = built
        return {"value": wire.Handle(number), "is_module": isinstance(built, nn.Module)}

    def _unpack(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], list[Tensor]]:
        """Resolve marks, copy tensors; also return the copied tensors in order of appearance."""
        leaves: list[Tensor] = []

        def revive(node: Any) -> Any:
            if isinstance(node, Tensor):
                leaves.append(node.detach().clone())
                return leaves[-1]
            if isinstance(node, wire.Handle):
                return self._object(node)
            if isinstance(node, wire.StandIn):
                return stand_ins.build(node.name, **node.kwargs)
            if isinstance(node, dict):
                return {key: revive(item) for key, item in node.items()}
            if isinstance(node, (list, tuple)):
                return type(node)(revive(item) for item in node)
            return node

        return revive(tuple(args)), revive(dict(kwargs)), leaves

    def _pack(self, node: Any, depth: int = 0) -> Any:
        """Turn an output into a plain value; parameters of kept modules keep their identity."""
        if isinstance(node, nn.Parameter):
            for number, kept in self.objects.items():
                if isinstance(kept, nn.Module):
                    for name, parameter in kept.named_parameters():
                        if parameter is node:
                            return wire.ParameterOf(number, name)
        if isinstance(node, Tensor):
            return node.detach().clone()
        if depth < VALUE_DEPTH_CAP and isinstance(node, (list, tuple)):
            packed = [self._pack(item, depth + 1) for item in node]
            return packed if isinstance(node, list) else tuple(packed)
        if depth < VALUE_DEPTH_CAP and isinstance(node, Mapping):
            return {str(key): self._pack(item, depth + 1) for key, item in node.items()}
        if isinstance(node, nn.Module):
            for number, kept in self.objects.items():
                if kept is node:
                    return wire.Handle(number)
        if node is None or type(node) in (bool, int, float, str):
            return node
        return wire.Other(type(node).__name__[:80])


def serve(descriptor: int, namespace: Mapping[str, Any]) -> None:
    """Answer the grader until it hangs up. Runs inside the learner's kernel.

    Args:
        descriptor: number of the open socket whose other end the grader holds; the kernel was born with it.
        namespace: the notebook's variables.
    """
    driver = Driver(namespace)
    torch.set_grad_enabled(True)
    with socket.socket(fileno=descriptor) as connection:
        while True:
            try:
                request = wire.receive(connection)
            except EOFError:
                return
            # What a learner prints while being asked is nobody's answer.
            with _silence():
                reply = driver.answer(request)
            try:
                frame = wire.encode(reply)
            except (
                BaseException
            ) as problem:  # a learner's tensor subclass may raise anything while it is read
                frame = wire.encode(_failed(problem))
            connection.sendall(frame)


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def _silence() -> Any:
    with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()):
        yield


def _failed(problem: BaseException) -> Reply:
    """The reply for an error. `also` names what it inherits from: a ShapeError is a ValueError, too."""
    names = [kind.__name__[:80] for kind in type(problem).__mro__ if kind not in (BaseException, object)]
    kind = type(problem).__name__[:80]  # a bare BaseException has no other name
    return {"ok": False, "kind": kind, "also": names[1:9], "message": _text(problem), "line": _line(problem)}


def _text(problem: BaseException) -> str:
    try:
        return str(problem)[:MESSAGE_CAP]
    except BaseException:  # a learner's __str__ may raise anything, SystemExit included
        return ""


def _line(problem: BaseException) -> str:
    """The innermost line of the notebook's own that was running; empty where there is none."""
    try:
        at, step = None, problem.__traceback__
        while step is not None:
            if step.tb_frame.f_globals.get("__name__") == "__main__":
                at = step
            step = step.tb_next
        found = "" if at is None else linecache.getline(at.tb_frame.f_code.co_filename, at.tb_lineno)
        return " ".join(found.split())[:LINE_CAP]
    except BaseException:  # whatever a learner has done to their module's name, or to str
        return ""


def _same_bits(left: Tensor, right: Tensor) -> bool:
    return (
        left.shape == right.shape
        and left.dtype == right.dtype
        and (torch.equal(left, right) or torch.equal(left.nan_to_num(), right.nan_to_num()))
    )


def _tensors(node: Any) -> list[Tensor]:
    """Every tensor in a request's arguments, in the order in which `Driver._unpack` copies them."""
    if isinstance(node, Tensor):
        return [node.detach()]
    if isinstance(node, dict):
        return [tensor for item in node.values() for tensor in _tensors(item)]
    if isinstance(node, (list, tuple)):
        return [tensor for item in node for tensor in _tensors(item)]
    return []


def in_process(name: str, found: Any) -> Callable[[Mapping[str, Any]], Reply]:
    """A driver for one object in this very process, as a function from request to reply."""
    return Driver({name: found}).answer
